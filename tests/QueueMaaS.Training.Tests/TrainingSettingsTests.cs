using QueueMaaS.Contracts;
using QueueMaaS.Training.Running;

namespace QueueMaaS.Training.Tests;

public sealed class TrainingSettingsTests
{
    [Fact]
    public void Everything_left_out_takes_its_documented_default()
    {
        var settings = TrainingSettings.From(Samples.Input);
        (settings.Preset, settings.Epochs, settings.BatchSize, settings.LearningRate, settings.Optimizer).ShouldBe(("cnn-small", 10, 64, 0.001, "adam"));
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
        { "optimizer", Samples.Input with { Optimizer = "adamw" } },
        { "validationShare", Samples.Input with { ValidationShare = 0.95 } },
        { "validationShare", Samples.Input with { ValidationShare = double.NaN } },
        { "limit", Samples.Input with { Limit = 1 } },
        { "maxCorruptShare", Samples.Input with { MaxCorruptShare = -0.1 } },
        { "model", Samples.Input with { Model = "Not A Name" } },
        { "dataset", Samples.Input with { Dataset = "d@" } },
        { "dataset", Samples.Input with { Dataset = "d@production" } },
        { "deploy", Samples.Input with { Deploy = "A B" } },
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
