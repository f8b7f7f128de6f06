using System.Globalization;
using System.Text.RegularExpressions;
using QueueMaaS.Contracts;
using QueueMaaS.Training.Auto;
using QueueMaaS.Training.Preparation;
using QueueMaaS.Training.Running;

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
        var proposal = choice.Plan(data, 1, new(10, 0, 0), range: 0.001);
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
        var plan = new AutoChoice(Own()).Plan(Photos, PerEpoch, new(affordable * PerEpoch / AutoBudget.Spent / 60, 0, 0), range: 0.003);
        plan.Points.Count.ShouldBe(trials);
        var epochs = plan.Training.GetProperty("epochs").GetInt32();
        // Every trial's lowest rung, then what asha goes on with at a reduction of three.
        var cost = trials switch { 6 => (6 * plan.MinEpochs) + (2 * 2 * plan.MinEpochs) + epochs - (3 * plan.MinEpochs), 3 => (3 * plan.MinEpochs) + epochs - plan.MinEpochs, _ => epochs };
        cost.ShouldBeLessThanOrEqualTo((int)affordable);
        plan.Points[0]["learningRate"].GetDouble().ShouldBe(0.003);
    }

    [Theory]
    [InlineData(0.5, 2, 3.7, 15.3)]
    [InlineData(0.05, 0.4, 2, 0.3)]
    [InlineData(0.0001, 0.001, 0.02, 0.01)]
    [InlineData(1e-7, 0.5, 1.5, 44.72)]
    [InlineData(10, 100, 90, 300)]
    public void A_budget_too_small_for_one_epoch_is_said_with_what_it_takes_by_numbers_that_add_up(double minutes, double reading, double measuring, double perEpoch)
    {
        var budget = new AutoBudget(minutes, reading, measuring);
        var problem = Should.Throw<ProblemException>(() => new AutoChoice(Own()).Plan(Photos, perEpoch, budget, range: 0.001)).Problem;
        problem.Code.ShouldBe("budget_too_small");
        var said = Regex.Match(
            problem.Message,
            @"budget of (?<n>\S+) minutes .* which takes (?<n>\S+) s .* took (?<n>\S+) s and measuring (?<n>\S+) s, .* taken as (?<n>\S+) s, and (?<n>\S+) s are kept .* so (?<n>\S+) s are there .* at least (?<n>\S+) minutes",
            RegexOptions.ExplicitCapture, TimeSpan.FromSeconds(5));
        var numbers = said.Groups["n"].Captures.Select(static c => double.Parse(c.Value, CultureInfo.InvariantCulture)).ToArray();
        numbers.Length.ShouldBe(8, problem.Message);
        numbers.ShouldAllBe(n => n >= 0);
        numbers[0].ShouldBe(minutes);
        numbers[1].ShouldBeGreaterThan(numbers[6], "an epoch that seems to fit is no reason");
        numbers[6].ShouldBe(Math.Max(0, (numbers[0] * 60) - numbers[2] - numbers[3] - numbers[4] - numbers[5]), 0.06);
        numbers[7].ShouldBe(problem.Details!["neededMinutes"].GetDouble());
        numbers[7].ShouldBeGreaterThan(minutes);
        // The advice works, though a larger budget is measured for longer and the machine is a little slower by then.
        var advised = new AutoBudget(numbers[7], reading, Math.Max(measuring, numbers[7] * 60 * (AutoBudget.MeasuringShare + AutoBudget.RangeShare)));
        new AutoChoice(Own()).Plan(Photos, perEpoch * 1.2, advised, range: 0.001).Points.Count.ShouldBeGreaterThan(0);
    }

    [Theory]
    [InlineData(8, 8)]
    [InlineData(16, 16)]
    [InlineData(17, 64)]
    public void Images_too_small_for_one_network_are_learned_by_another_and_the_reason_says_so(int width, int height)
    {
        var choice = new AutoChoice(Own());
        var small = Photos with { Width = width, Height = height };
        choice.Presets(small).ShouldBe(["resnet-18", "mobilenet-small", "mlp"]);
        choice.Preset(small, [("mobilenet-small", 40), ("mlp", 1)], budgetSeconds: 3_600).ShouldBe("mobilenet-small");
        choice.Reasons[^1].Reason.ShouldContain($"cnn-small needs larger images than {width} × {height}");
        new AutoChoice(Own()).Presets(Photos with { Width = 18, Height = 18 }).ShouldBe(["resnet-18", "mobilenet-small", "cnn-small"]);
        new AutoChoice(Own()).Presets(Photos with { Width = 4, Height = 4 }).ShouldBe(["mlp"]);
        new AutoChoice(Own()).Presets(Photos with { Width = 4, Height = 4, Train = 20 }).ShouldBe(["logistic"]);
    }

    [Fact]
    public void A_sweep_of_small_images_is_accepted_where_auto_chooses_the_network()
    {
        var card = new DatasetCard("image-folder", 300, [new("a", 150), new("b", 150)], new Dictionary<string, int> { ["train"] = 300 }, 16, 16, 3);
        var settings = TrainingSettings.From(Own());
        CardFit.Require(card, settings, chosenLater: true);
        Should.Throw<ProblemException>(() => CardFit.Require(card, settings)).Message.ShouldContain("cnn-small");
        // A view moved by more pixels than there are fits nothing, and then it is the images that are spoken of.
        var problem = Should.Throw<ProblemException>(() => CardFit.Require(card with { Width = 1, Height = 1 }, settings with { Views = new() { Shift = 3 } }, chosenLater: true)).Problem;
        problem.Code.ShouldBe("specification_invalid");
        problem.Message.ShouldContain("images, which are 1 × 1 pixels with 3 channels");
    }

    [Fact]
    public void A_batch_size_is_judged_by_the_best_of_several_rounds()
    {
        // Something else ran while 64 was measured for the first time, and while all of the second round was.
        var runs = new List<int>();
        double? Run(int size)
        {
            runs.Add(size);
            return runs.Count == 2 ? 244 : runs.Count is > 3 and < 7 ? 100 : size == 32 ? 2_000 : 2_800;
        }

        var (speeds, limited) = BatchSpeeds.Measure([32, 64, 128], Run, (_, _) => null, _ => true);
        speeds.ShouldBe([new(32, 2_000), new(64, 2_800), new(128, 2_800)]);
        limited.ShouldBeNull();
        runs.ShouldBe([32, 64, 128, 32, 64, 128, 32, 64, 128], "in turn, so that one disturbance does not hit all runs of a size");
        new AutoChoice(Own()).BatchSize(speeds, limited).BatchSize.ShouldBe(64);

        BatchSpeeds.Measure([32, 64], size => size == 64 ? null : 1, (_, _) => null, _ => false).ShouldSatisfyAllConditions(
            m => m.Speeds.ShouldBe([new(32, 1)]), m => m.LimitedBy.ShouldBe("64 did not fit into memory"));
        BatchSpeeds.Measure([32, 64], _ => 1, (size, _) => size == 64 ? "no time" : null, _ => false).LimitedBy.ShouldBe("no time");
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
