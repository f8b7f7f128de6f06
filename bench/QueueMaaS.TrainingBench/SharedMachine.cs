using System.Diagnostics;
using Google.Protobuf;
using QueueMaaS.Contracts;
using QueueMaaS.Inference;
using QueueMaaS.Inference.Models;
using QueueMaaS.Inference.Preparation;
using QueueMaaS.Inference.Tensors;
using QueueMaaS.Training.Export;
using QueueMaaS.Training.Running;
using QueueMaaS.Training.Specification;

namespace QueueMaaS.TrainingBench;

/// <summary>The latency of inference beside a training in the same process, with and without its standing back.</summary>
internal static class SharedMachine
{
    public static async Task RunAsync(double seconds)
    {
        var path = Path.Combine(Path.GetTempPath(), $"queuemaas-bench-{Guid.NewGuid():n}.onnx");
        using (var model = BuiltModel.Build(ModelPresets.Create("cnn-small", 10), TensorShape.Image(3, 32, 32), 1))
            await File.WriteAllBytesAsync(path, OnnxExporter.Export(model, new Dictionary<string, string>()).ToByteArray());
        await using var host = new ModelHost(new InferenceOptions());
        var inspection = new OnnxModelInspector().Inspect(path);
        var served = new ServedModel("bench", 1, path, inspection.Signature, null, new BatchingSettings());
        Console.WriteLine($"{"",-40} {"p50 ms",8} {"p99 ms",8} {"requests/s",11} {"training images/s",18}");
        await TurnAsync("inference alone", host, served, seconds, share: null);
        await TurnAsync("beside a training that does not wait", host, served, seconds, share: 1);
        await TurnAsync("beside a training with a quarter", host, served, seconds, share: 0.25);
        await TurnAsync("beside a training with a tenth", host, served, seconds, share: 0.1);
        File.Delete(path);
    }

    private static async Task TurnAsync(string what, ModelHost host, ServedModel served, double seconds, double? share)
    {
        using var stop = new CancellationTokenSource();
        var (trained, clock) = (0L, Stopwatch.StartNew());
        var training = share is { } s ? Task.Factory.StartNew(() => Train(host, s, done => trained = done, stop.Token), TaskCreationOptions.LongRunning) : Task.CompletedTask;
        await Task.Delay(TimeSpan.FromSeconds(Math.Min(2, seconds / 4)));
        var latencies = await Task.WhenAll(Enumerable.Range(0, 2).Select(caller => CallAsync(host, served, seconds, caller)));
        await stop.CancelAsync();
        await training;
        double[] all = [.. latencies.SelectMany(l => l).Order()];
        Console.WriteLine($"{what,-40} {all[all.Length / 2],8:N3} {all[(int)(all.Length * 0.99)],8:N3} {all.Length / seconds,11:N0} {trained * 64 / clock.Elapsed.TotalSeconds,18:N0}");
    }

    private static void Train(ModelHost host, double share, Action<long> done, CancellationToken stop)
    {
        try
        {
            new Trainer().Train(
                Samples.Plan(Samples.Images(6_400), "cnn-small", 1_000, 64),
                new() { AfterStep = done, StandBack = share < 1 ? new InferenceFirst(host, share, TimeProvider.System).StandBack : null },
                stop);
        }
        catch (OperationCanceledException)
        {
            // The turn is over.
        }
    }

    /// <summary>One caller with one image at a time, a hundred a second.</summary>
    private static async Task<List<double>> CallAsync(ModelHost host, ServedModel served, double seconds, int caller)
    {
        var values = new float[3 * 32 * 32];
        Array.Fill(values, caller * 0.1f);
        var request = host.Prepare(served, [TensorBuffer.OfBytes("input", TensorDatatype.Find(Datatypes.Fp32)!, [1, 3, 32, 32], System.Runtime.InteropServices.MemoryMarshal.AsBytes(values.AsSpan()).ToArray())]);
        var latencies = new List<double>();
        var clock = Stopwatch.StartNew();
        while (clock.Elapsed.TotalSeconds < seconds)
        {
            var started = Stopwatch.GetTimestamp();
            await host.RunAsync(served, request, new InferenceCall());
            latencies.Add(Stopwatch.GetElapsedTime(started).TotalMilliseconds);
            await Task.Delay(TimeSpan.FromMilliseconds(10));
        }

        return latencies;
    }
}
