using QueueMaaS.Contracts;
using QueueMaaS.Inference.Promotion;

namespace QueueMaaS.Inference.Tests;

public sealed class GateJudgeTests
{
    private static readonly MetricCondition AtMostTwo = new() { Metric = "mae", AtMost = 2, Dataset = "houses" };

    [Theory]
    [InlineData(1.5, true, "as asked for")]
    [InlineData(2.5, false, "which is too much")]
    public void A_figure_beyond_its_greatest_value_is_too_much_not_too_little(double mae, bool held, string says)
    {
        var judged = GateJudge.Metric(AtMostTwo, Version, Evaluated(mae, uncomputed: 0, unreadable: 0));
        judged.Held.ShouldBe(held);
        judged.Reason.ShouldContain(says);
    }

    [Fact]
    public void A_figure_below_its_least_value_is_not_enough() =>
        GateJudge.Metric(new() { Metric = "mae", AtLeast = 2, AtMost = 3, Dataset = "houses" }, Version, Evaluated(1, 0, 0)).Reason.ShouldContain("which is not enough");

    [Fact]
    public void A_condition_does_not_hold_for_a_version_that_cannot_compute_some_of_the_items()
    {
        var judged = GateJudge.Metric(AtMostTwo, Version, Evaluated(1.5, uncomputed: 320, unreadable: 0));
        (judged.Held, judged.Measured).ShouldBe((false, 1.5));
        judged.Reason.ShouldStartWith("`hard@2` could not compute 320 of 400 items, so the condition does not hold. The first: The model's answer to item 1 is NaN or infinite.");
        judged.Reason.ShouldContain("over 80 items");

        foreach (var judgement in Enum.GetValues<NotWorseJudgement>())
        {
            var compared = GateJudge.NotWorse(new() { Dataset = "houses", Judgement = judgement }, "production", 2, 1, Evaluated(1.5, uncomputed: 1, unreadable: 0, comparedUncomputed: 0));
            (compared.Held, compared.Measured).ShouldBe((false, 0.5), judgement.ToString());
            compared.Reason.ShouldStartWith("`hard@2` could not compute 1 of 400 items");
        }
    }

    [Fact]
    public void Items_that_no_model_can_be_given_are_told_and_left_out()
    {
        var judged = GateJudge.Metric(AtMostTwo, Version, Evaluated(1.5, uncomputed: 0, unreadable: 7));
        judged.Held.ShouldBeTrue();
        judged.Reason.ShouldEndWith("over 393 items. 7 items of the data set can be given to no model and are left out.");
        GateJudge.Metric(AtMostTwo, Version, Evaluated(1.5, uncomputed: 3, unreadable: 7)).Reason.ShouldStartWith("`hard@2` could not compute 3 of 393 items");
    }

    [Fact]
    public void What_the_version_before_could_not_compute_is_not_held_against_the_new_one()
    {
        var judged = GateJudge.NotWorse(new() { Dataset = "houses" }, "production", 2, 1, Evaluated(1.5, uncomputed: 0, unreadable: 0, comparedUncomputed: 40));
        judged.Held.ShouldBeTrue();
        judged.Reason.ShouldEndWith("40 items that `hard@1` could not compute are left out, too.");
    }

    private static ModelVersion Version => new()
    {
        Name = "hard",
        Version = 2,
        Artifact = "sha256:0",
        Bytes = 1,
        Signature = new([], []),
        Batching = new(),
        Aliases = [],
        CreatedAt = DateTimeOffset.UnixEpoch,
    };

    /// <summary>Of a data set of 400 items.</summary>
    private static GateEvaluation Evaluated(double mae, int uncomputed, int unreadable, int? comparedUncomputed = null)
    {
        var failed = uncomputed + unreadable + (comparedUncomputed ?? 0);
        var output = new EvaluationOutput
        {
            Task = EvaluationTask.Regression,
            Items = 400 - failed,
            Failed = failed,
            Unreadable = unreadable,
            Dataset = new("houses@1", "sha256:0", "all", "price"),
            Model = Figures("hard@2", mae, uncomputed),
            Compared = comparedUncomputed is { } theirs ? Figures("hard@1", mae + 0.5, theirs) : null,
            Comparison = comparedUncomputed is null ? null : new() { Test = "pairedBootstrap", PValue = 0.01, Difference = -0.5, DifferenceInterval = new(-0.6, -0.4), Significant = true, Sentence = "It is better." },
            EmptySlices = [],
            Notes = [],
            Seed = 1,
            Bootstrap = 100,
        };
        return new(new() { Model = "hard@2", Dataset = "houses" }, output, null);
    }

    private static ModelEvaluation Figures(string name, double mae, int uncomputed) => new()
    {
        Name = name,
        Artifact = "sha256:0",
        Uncomputed = uncomputed,
        FirstUncomputed = uncomputed == 0 ? null : new Problem(ProblemCodes.ModelExecutionFailed, "The model's answer to item 1 is NaN or infinite."),
        Regression = new() { Mae = mae, MaeInterval = new(mae, mae), Rmse = mae, RmseInterval = new(mae, mae), Bias = 0, Residuals = [] },
        Slices = [],
        Worst = [],
    };
}
