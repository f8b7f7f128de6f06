using QueueMaaS.Contracts;
using QueueMaaS.Training.Auto;

namespace QueueMaaS.Training.Tests;

public sealed class AutoChoiceTests
{
    private static readonly AutoData Photos = new("images", 45_000, 5_000, TrainingTask.Classification, ["cat", "dog"], [22_500, 22_500], 32, 32, 3);
    private static readonly AutoData Table = new("tables", 900, 100, TrainingTask.Classification, ["no", "yes"], [850, 50], 0, 0, 0);

    [Fact]
    public void The_range_test_takes_a_tenth_of_the_step_size_with_the_lowest_loss()
    {
        var range = new LearningRateRange();
        var step = 0;
        // Falls until a step size of about 0.1, then the training breaks.
        while (range.Add(step, range.At(step) < 0.1 ? 2.0 - (Math.Log10(range.At(step) / 1e-6) * 0.3) : 2 + (100 * range.At(step))) && step < 200)
            step++;
        range.Lowest.ShouldBeInRange(0.07, 0.15);
        range.Proposal.ShouldBe(range.Lowest / 10);
        step.ShouldBeLessThan(99, "it ends where the loss explodes");
        new LearningRateRange().Add(0, double.NaN).ShouldBeFalse();
    }

    [Theory]
    [InlineData(1e-6, false)]
    [InlineData(2e-5, false)]
    [InlineData(1e-3, true)]
    public void A_range_test_whose_loss_is_lowest_at_the_smallest_steps_has_found_nothing(double turn, bool found)
    {
        var range = new LearningRateRange();
        for (var step = 0; range.Add(step, range.At(step) <= turn ? 2 - (Math.Log10(range.At(step) / 1e-6) * 0.3) : 3 + (100 * range.At(step))); step++)
        {
        }

        range.IsFound.ShouldBe(found, $"{range.Lowest}");
    }

    [Fact]
    public void Data_decides_about_augmentation_and_balance_and_what_the_job_says_is_kept()
    {
        Reasons(new(), c => c.Data(Photos)).ShouldContain(r => r.Field == "data.augmentation.flip" && r.Value.GetString() == "alternating");
        Reasons(new(), c => c.Data(Photos with { Labels = ["0", "1"], Channels = 1 })).Single(r => r.Field == "data.augmentation.flip").Reason.ShouldContain("digits");
        Reasons(new(), c => c.Data(Table)).Select(r => r.Field).ShouldBe(["loss.balanced", "metric", "optimizer", "schedule.kind", "optimization.clipNorm"]);
        Reasons(new() { Optimizer = "sgd", Schedule = new(), Optimization = new(), Loss = new() }, c => c.Data(Table)).Select(r => r.Field).ShouldBe(["metric"]);
    }

    [Theory]
    [InlineData(TrainingTask.Classification, 900, 100, "validationBalancedAccuracy", "900 items, the smallest 100")]
    [InlineData(TrainingTask.Classification, 500, 450, "validationAccuracy", "like size")]
    [InlineData(TrainingTask.MultiLabel, 900, 100, "validationAccuracy", "labels")]
    [InlineData(TrainingTask.Regression, 0, 0, "validationLoss", "numbers")]
    public void Trials_are_compared_by_what_does_justice_to_small_classes_and_the_reason_says_so(TrainingTask task, int first, int second, string metric, string says)
    {
        var choice = new AutoChoice(Own());
        var data = Table with { Task = task, ClassCounts = [first, second] };
        choice.Data(data);
        var proposal = choice.Plan(data, 1, leftSeconds: 600, minutes: 10, range: 0.001);
        proposal.Metric.ShouldBe(metric);
        var reason = proposal.Reasons.Single(static r => r.Field == "metric");
        (reason.Value.GetString(), reason.Reason.Contains(says, StringComparison.Ordinal)).ShouldBe((metric, true), reason.Reason);
    }

    [Fact]
    public void The_largest_network_and_the_smallest_quick_batch_that_fit_are_taken()
    {
        var choice = new AutoChoice(Own());
        choice.Presets(Photos).ShouldBe(["resnet-18", "mobilenet-small", "cnn-small"]);
        choice.Preset(Photos, [("resnet-18", 600), ("mobilenet-small", 40), ("cnn-small", 20)], budgetSeconds: 3_600).ShouldBe("mobilenet-small");
        choice.Preset(Photos, [("resnet-18", 600), ("mobilenet-small", 40), ("cnn-small", 20)], budgetSeconds: 60).ShouldBe("cnn-small");
        choice.BatchSize([new(32, 500), new(64, 900), new(128, 1_000), new(256, 1_010)], null).BatchSize.ShouldBe(64);
        choice.Presets(Table with { Train = 50 }).ShouldBe(["logistic"]);
        new AutoChoice(Own() with { Preset = "mlp" }).Presets(Photos).ShouldBe(["mlp"]);
    }

    [Theory]
    [InlineData(100, 6)]
    [InlineData(10, 3)]
    [InlineData(2, 1)]
    public void The_budget_decides_how_many_trials_there_are_and_is_not_exceeded(double affordable, int trials)
    {
        const double PerEpoch = 10;
        var plan = new AutoChoice(Own()).Plan(Photos, PerEpoch, affordable * PerEpoch / AutoChoice.Spent, minutes: 60, range: 0.003);
        plan.Points.Count.ShouldBe(trials);
        var epochs = plan.Training.GetProperty("epochs").GetInt32();
        // Every trial's lowest rung, then what asha goes on with at a reduction of three.
        var cost = trials switch { 6 => (6 * plan.MinEpochs) + (2 * 2 * plan.MinEpochs) + epochs - (3 * plan.MinEpochs), 3 => (3 * plan.MinEpochs) + epochs - plan.MinEpochs, _ => epochs };
        cost.ShouldBeLessThanOrEqualTo((int)affordable);
        plan.Points[0]["learningRate"].GetDouble().ShouldBe(0.003);
    }

    [Fact]
    public void A_budget_too_small_for_one_epoch_is_said_with_what_it_takes()
    {
        var problem = Should.Throw<ProblemException>(() => new AutoChoice(Own()).Plan(Photos, 100, leftSeconds: 50, minutes: 1, range: 0.001)).Problem;
        problem.Code.ShouldBe("budget_too_small");
        problem.Details!["neededMinutes"].GetDouble().ShouldBe(2.4, 0.1);
    }

    private static TrainingInput Own() => new() { Model = "m", Dataset = "d" };

    private static IReadOnlyList<AutoReason> Reasons(TrainingSettingsGiven given, Action<AutoChoice> choose)
    {
        var choice = new AutoChoice(Own() with { Optimizer = given.Optimizer, Schedule = given.Schedule, Optimization = given.Optimization, Loss = given.Loss });
        choose(choice);
        return choice.Reasons;
    }

    /// <summary>What a job says itself.</summary>
    private sealed record TrainingSettingsGiven
    {
        public string? Optimizer { get; init; }
        public ScheduleSettings? Schedule { get; init; }
        public OptimizationSettings? Optimization { get; init; }
        public LossSettings? Loss { get; init; }
    }
}
