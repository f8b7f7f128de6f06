using System.Diagnostics;
using QueueMaaS.Training.Running;
using QueueMaaS.Training.Runtime;
using TorchSharp;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace QueueMaaS.TrainingBench;

/// <summary>Images per second of a training here and of the same loop in bare TorchSharp on tensors that are in memory already, in turn.</summary>
internal static class StepSpeed
{
    private const int Turns = 5;

    public static void Run(string network, double seconds)
    {
        TorchRuntime.EnsureLoaded();
        var batch = network == "cnn-small" ? 64 : 32;
        var (ours, bare) = (new List<double>(), new List<double>());
        for (var turn = 0; turn < Turns; turn++)
        {
            ours.Add(Ours(network, batch, seconds));
            bare.Add(Bare(network, batch, seconds));
            Console.WriteLine($"turn {turn + 1}: here {ours[^1]:N1} images/s, bare TorchSharp {bare[^1]:N1}");
        }

        Console.WriteLine($"{network}, batch {batch}, Adam, {get_num_threads()} threads, medians of {Turns}: here {Median(ours):N1} images/s, bare {Median(bare):N1}; ratio {Median(ours) / Median(bare):N3}");
    }

    private static double Ours(string network, int batch, double seconds)
    {
        var images = Samples.Images(network == "cnn-small" ? 6_400 : 320);
        using var stop = new CancellationTokenSource();
        var (clock, first) = (new Stopwatch(), 0L);
        long steps = 0;
        try
        {
            new Trainer().Train(Samples.Plan(images, network, 1_000, batch), new()
            {
                AfterStep = done =>
                {
                    if (done == 3)
                    {
                        clock.Start();
                        first = done;
                    }

                    steps = done;
                    if (clock.Elapsed.TotalSeconds > seconds)
                        stop.Cancel();
                },
            }, stop.Token);
        }
        catch (OperationCanceledException)
        {
            clock.Stop();
        }

        return (steps - first) * batch / clock.Elapsed.TotalSeconds;
    }

    private static double Bare(string network, int batch, double seconds)
    {
        using var model = network == "cnn-small" ? SmallCnn() : BareResNet.Create();
        using var optimizer = optim.Adam(model.parameters(), 1e-3);
        using var inputs = rand(64 * batch > 640 ? 640 : 64 * batch, 3, 32, 32);
        using var labels = randint(0, 10, inputs.shape[0], int64);
        var clock = new Stopwatch();
        long steps = 0;
        model.train();
        while (clock.Elapsed.TotalSeconds < seconds)
        {
            using var scope = NewDisposeScope();
            var at = steps * batch % (inputs.shape[0] - batch + 1);
            var output = model.call(inputs.narrow(0, at, batch));
            optimizer.zero_grad();
            var loss = functional.cross_entropy(output, labels.narrow(0, at, batch));
            loss.backward();
            optimizer.step();
            _ = loss.item<float>();
            steps++;
            if (steps == 3)
            {
                clock.Start();
                steps = 3;
            }
        }

        return (steps - 3) * batch / clock.Elapsed.TotalSeconds;
    }

    private static Module<Tensor, Tensor> SmallCnn() => Sequential(
        Conv2d(3, 32, 3), ReLU(), MaxPool2d(2), Conv2d(32, 64, 3), ReLU(), MaxPool2d(2), Conv2d(64, 64, 3), ReLU(), Flatten(), Linear(1024, 64), ReLU(), Linear(64, 10));

    internal static double Median(List<double> values) => values.Order().ElementAt(values.Count / 2);
}

/// <summary>ResNet-18 with the CIFAR stem in bare TorchSharp modules.</summary>
internal static class BareResNet
{
    public static Module<Tensor, Tensor> Create()
    {
        var layers = new List<Module<Tensor, Tensor>> { Conv2d(3, 64, 3, padding: 1L, bias: false), BatchNorm2d(64), ReLU() };
        var channels = 64;
        foreach (var (width, stride) in ((int, int)[])[(64, 1), (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1)])
        {
            layers.Add(new Block(channels, width, stride));
            channels = width;
        }

        layers.AddRange([AdaptiveAvgPool2d(1), Flatten(), Linear(512, 10)]);
        return Sequential(layers);
    }

    private sealed class Block : Module<Tensor, Tensor>
    {
        private readonly Module<Tensor, Tensor> _body;
        private readonly Module<Tensor, Tensor>? _shortcut;

        public Block(int channels, int width, int stride)
            : base("block")
        {
            _body = Sequential(
                Conv2d(channels, width, 3, stride, 1L, bias: false), BatchNorm2d(width), ReLU(), Conv2d(width, width, 3, padding: 1L, bias: false), BatchNorm2d(width));
            _shortcut = stride == 1 && channels == width ? null : Sequential(Conv2d(channels, width, 1, stride, bias: false), BatchNorm2d(width));
            RegisterComponents();
        }

        public override Tensor forward(Tensor input) => (_body.call(input) + (_shortcut?.call(input) ?? input)).relu();
    }
}
