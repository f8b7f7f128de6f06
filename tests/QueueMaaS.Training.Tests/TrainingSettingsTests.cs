using QueueMaaS.Contracts;
using QueueMaaS.Training.Running;

namespace QueueMaaS.Training.Tests;

public sealed class TrainingSettingsTests
{
    [Fact]
    public void Everything_left_out_takes_its_documented_default()
    {
        var settings = TrainingSettings.From(Samples.Input);
        (settings.Preset, settings.Epochs, settings.BatchSize, settings.LearningRate, settings.Optimizer).ShouldBe((null, 10, 64, 0.001, "adam"));
        (settings.Seed, settings.ValidationShare, settings.Limit, settings.MaxCorruptShare).ShouldBe((0, 0.1, null, 0.01));
    }

    public static TheoryData<string, TrainingInput> OutOfRange => new()
    {
        { "epochs", Samples.Input with { Epochs = 0 } },
        { "epochs", Samples.Input with { Epochs = 1_001 } },
        { "batchSize", Samples.Input with { BatchSize = 8_193 } },
        { "learningRate", Samples.Input with { LearningRate = 0 } },
        { "learningRate", Samples.Input with { LearningRate = 10.5 } },
        { "learningRate", Samples.Input with { LearningRate = double.NaN } },
        { "optimizer", Samples.Input with { Optimizer = "adam7" } },
        { "validationShare", Samples.Input with { ValidationShare = 0.95 } },
        { "validationShare", Samples.Input with { ValidationShare = double.NaN } },
        { "limit", Samples.Input with { Limit = 1 } },
        { "maxCorruptShare", Samples.Input with { MaxCorruptShare = -0.1 } },
        { "model", Samples.Input with { Model = "Not A Name" } },
        { "dataset", Samples.Input with { Dataset = "d@" } },
        { "dataset", Samples.Input with { Dataset = "d@production" } },
        { "deploy", Samples.Input with { Deploy = "A B" } },
        { "deploy", Samples.Input with { Deploy = "3" } },
        { "learningRate", Samples.Input with { LearningRate = 1e9 } },
        { "network", Samples.Input with { Preset = "mlp", Network = [] } },
        { "optimization.momentum", Samples.Input with { Optimization = new() { Momentum = 0.9 } } },
        { "optimization.momentum", Samples.Input with { Optimizer = "sgd", Optimization = new() { Momentum = 1 } } },
        { "optimization.nesterov", Samples.Input with { Optimization = new() { Nesterov = true } } },
        { "optimization.beta1", Samples.Input with { Optimization = new() { Beta1 = double.NaN } } },
        { "optimization.weightDecay", Samples.Input with { Optimization = new() { WeightDecay = -1 } } },
        { "optimization.clipNorm", Samples.Input with { Optimization = new() { ClipNorm = 0 } } },
        { "optimization.accumulate", Samples.Input with { Optimization = new() { Accumulate = 0 } } },
        { "optimization.averageDecay", Samples.Input with { Optimization = new() { AverageDecay = 1 } } },
        { "optimization.groups[0].match", Samples.Input with { Optimization = new() { Groups = [new() { Match = "" }] } } },
        { "schedule.peak", Samples.Input with { Schedule = new() { Peak = 1 } } },
        { "schedule.warmUpSteps", Samples.Input with { Schedule = new() { Kind = ScheduleKind.OneCycle, WarmUpSteps = 3 } } },
        { "schedule.factor", Samples.Input with { Schedule = new() { Factor = 0 } } },
        { "loss.labelSmoothing", Samples.Input with { Loss = new() { LabelSmoothing = 1 } } },
        { "loss.balanced", Samples.Input with { Loss = new() { Balanced = true, ClassWeights = new Dictionary<string, double>() } } },
        { "stopping.patience", Samples.Input with { Stopping = new() { Patience = 0 } } },
        { "stopping.maxMinutes", Samples.Input with { Stopping = new() { MaxMinutes = 0 } } },
        { "checkpoints.keep", Samples.Input with { Checkpoints = new() { Keep = 0 } } },
        { "startFrom.model", Samples.Input with { StartFrom = new() { Model = "a@" } } },
        { "data.split.column", Samples.Input with { Data = new() { Split = new() { Kind = SplitKind.Group } } } },
        { "data.augmentation.crop", Samples.Input with { Data = new() { Augmentation = new() { Crop = -1 } } } },
        { "data.image.channels", Samples.Input with { Data = new() { Image = new() { Channels = 2 } } } },
        { "data.tokens.vocabulary", Samples.Input with { Data = new() { Tokens = new() { Vocabulary = 1 } } } },
    };

    [Theory]
    [MemberData(nameof(OutOfRange))]
    public void A_value_out_of_range_is_refused_by_its_field(string field, TrainingInput input)
    {
        var problem = Samples.ShouldFail(() => TrainingSettings.From(input), ProblemCodes.InvalidValue);
        problem.Message.ShouldContain($"'{field}'");
        problem.Details!["field"].GetString().ShouldBe(field);
    }

    [Fact]
    public void An_unknown_preset_is_refused_with_the_known_ones()
    {
        Samples.ShouldFail(() => TrainingSettings.From(Samples.Input with { Preset = "resnet-9000" }), ProblemCodes.SpecificationInvalid).Message.ShouldContain("cnn-small");
    }
}
