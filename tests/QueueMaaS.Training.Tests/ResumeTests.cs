using QueueMaaS.Contracts;
using QueueMaaS.Training.Checkpoints;
using QueueMaaS.Training.Feeding;
using QueueMaaS.Training.Running;
using QueueMaaS.Training.Specification;
using QueueMaaS.Training.Specification.Layers;

namespace QueueMaaS.Training.Tests;

/// <summary>An interrupted training goes on to exactly the weights of an undisturbed one.</summary>
public sealed class ResumeTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public static TheoryData<string, TrainingInput> Recipes => new()
    {
        { "adam", Samples.Input with { Epochs = 3 } },
        { "sgd, plateau, average", Samples.Input with { Epochs = 3, Optimizer = "sgd", LearningRate = 0.01, Schedule = new() { Kind = ScheduleKind.Plateau, Patience = 0 }, Optimization = new() { AverageDecay = 0.9, WeightDecay = 1e-3, ClipNorm = 1 } } },
        { "adamw, one cycle, accumulation, best epoch", Samples.Input with { Epochs = 3, Optimizer = "adamw", Schedule = new() { Kind = ScheduleKind.OneCycle }, Optimization = new() { Accumulate = 3 }, Stopping = new() { RestoreBest = true } } },
        { "rmsprop, variation, mixing", Samples.Input with { Epochs = 3, Optimizer = "rmsprop", Data = new() { Balance = BalanceMode.Sample, Augmentation = new() { Flip = FlipMode.Alternating, Crop = 2, Rotation = 10, Brightness = 0.2, Cutout = 4, Mixup = 0.4, CutMix = 1, Noise = 0.01 } } } },
        { "muon, views, halves", Samples.Input with { Epochs = 3, Preset = "airbench", Optimizer = "muon", LearningRate = 0.1, Precision = TrainingPrecision.Fastest, Views = new() { Mirror = true, Shift = 1 }, Optimization = new() { Momentum = 0.6, NormalizeWeights = true, Groups = [new() { Match = "*.bias", LearningRateScale = 0.2, Momentum = 0.8 }] } } },
        { "adagrad", Samples.Input with { Epochs = 3, Optimizer = "adagrad", Loss = new() { LabelSmoothing = 0.1, Balanced = true } } },
    };

    public void Dispose() => _folder.Dispose();

    [Theory]
    [MemberData(nameof(Recipes))]
    public void From_every_stored_state_the_same_weights_are_reached(string recipe, TrainingInput input)
    {
        recipe.ShouldNotBeEmpty();
        var plan = Plan(input);
        var snapshots = new List<TrainingSnapshot>();
        var undisturbed = Samples.Weights(plan, new() { Checkpoint = snapshots.Add });
        // Every step has been stored, and the end of every epoch.
        snapshots.Select(s => s.Id).ShouldContain("epoch-1");
        snapshots.ShouldContain(s => s.State.Step > 0);
        foreach (var snapshot in snapshots.Where((_, i) => i % 4 == 1).Append(snapshots[^1]))
            Samples.Weights(plan with { Resume = ThroughFile(snapshot, plan) }).ShouldBe(undisturbed, snapshot.Id);
        Samples.Weights(plan).ShouldBe(undisturbed, "storing states changes nothing");
    }

    [Fact]
    public void A_training_that_goes_on_has_the_figures_of_all_epochs()
    {
        var plan = Plan(Samples.Input with { Epochs = 3 });
        var snapshots = new List<TrainingSnapshot>();
        using var whole = new Trainer().Train(plan, new() { Checkpoint = snapshots.Add }).Model;
        var middle = snapshots.First(s => s.State is { Epoch: 2, Step: > 0 });
        var rest = new Trainer().Train(plan with { Resume = ThroughFile(middle, plan) });
        using var model = rest.Model;
        rest.History.Select(e => e.Epoch).ShouldBe([1, 2, 3]);
        rest.History.Select(e => (e.Loss, e.ValidationLoss)).ShouldBe(snapshots[^1].State.History.Select(e => (e.Loss, e.ValidationLoss)));
    }

    [Fact]
    public void Cancelling_stores_the_state_of_that_step_first()
    {
        var plan = Plan(Samples.Input with { Epochs = 3, Checkpoints = new() { EveryMinutes = 1000 } });
        using var stop = new CancellationTokenSource();
        var snapshots = new List<TrainingSnapshot>();
        Should.Throw<OperationCanceledException>(() => new Trainer().Train(
            plan,
            new()
            {
                Checkpoint = snapshots.Add,
                AfterStep = done =>
                {
                    if (done == 10)
                        stop.Cancel();
                },
            },
            stop.Token));
        snapshots[^1].Id.ShouldBe("epoch-2-step-3");
        snapshots[^1].State.Steps.ShouldBe(10);
        Samples.Weights(plan with { Resume = ThroughFile(snapshots[^1], plan) }).ShouldBe(Samples.Weights(plan));
    }

    [Fact]
    public void A_damaged_file_is_told_from_a_good_one()
    {
        var plan = Plan(Samples.Input with { Epochs = 1 });
        TrainingSnapshot? last = null;
        Samples.Weights(plan, new() { Checkpoint = s => last = s });
        var path = _folder.File("state");
        File(last!, plan).Write(path);
        var bytes = System.IO.File.ReadAllBytes(path);
        System.IO.File.WriteAllBytes(path, bytes[..(bytes.Length / 2)]);
        Should.Throw<InvalidDataException>(() => CheckpointFile.Read(path));
        System.IO.File.WriteAllText(path, "no safetensors");
        Should.Throw<InvalidDataException>(() => CheckpointFile.Read(path));
    }

    private static TrainingPlan Plan(TrainingInput input)
    {
        var settings = TrainingSettings.From(input with { BatchSize = 16, Checkpoints = input.Checkpoints ?? new() { EveryMinutes = 1e-9 }, Seed = 3 });
        var plan = Samples.Plan(Samples.Images(120), settings);
        // Dropout and batch norm have states of their own.
        var network = ModelSpecification.Sequential(
            "small", new Conv2dLayer(6, 3, 2), new BatchNormLayer(), new ActivationLayer(Activation.Relu), new DropoutLayer(0.3), new AdaptivePool2dLayer(2), new FlattenLayer(), new LinearLayer(2));
        return plan with { Network = network };
    }

    private static CheckpointFile File(TrainingSnapshot snapshot, TrainingPlan plan) =>
        new(snapshot, "job", "d@1", plan.Network, plan.Data.Inputs.Shape, new(), new Dictionary<string, string>(StringComparer.Ordinal) { ["a"] = "b" });

    private TrainingSnapshot ThroughFile(TrainingSnapshot snapshot, TrainingPlan plan)
    {
        var path = _folder.File("state.safetensors");
        File(snapshot, plan).Write(path);
        var read = CheckpointFile.Read(path);
        read.Network.Nodes.Count.ShouldBe(plan.Network.Nodes.Count);
        read.Input.SameSizes(plan.Data.Inputs.Shape).ShouldBeTrue();
        return read.Snapshot;
    }
}
