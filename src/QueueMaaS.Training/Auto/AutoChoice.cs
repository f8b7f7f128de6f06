using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using QueueMaaS.Contracts;
using QueueMaaS.Training.Feeding;
using QueueMaaS.Training.Specification;

namespace QueueMaaS.Training.Auto;

/// <summary>What is known of a data set once it is read.</summary>
/// <param name="Kind"><c>images</c>, <c>tables</c>, <c>texts</c> or <c>arrays</c>.</param>
/// <param name="Train">Items trained on.</param>
/// <param name="Validation">Items validated on.</param>
/// <param name="Task">What is learned.</param>
/// <param name="Labels">The classes, where there are any.</param>
/// <param name="ClassCounts">Training items of each class.</param>
/// <param name="Width">Images: pixels.</param>
/// <param name="Height">Images: pixels.</param>
/// <param name="Channels">Images: 1 or 3.</param>
internal sealed record AutoData(string Kind, int Train, int Validation, TrainingTask Task, IReadOnlyList<string> Labels, IReadOnlyList<int> ClassCounts, int Width, int Height, int Channels);

/// <summary>Chooses settings from what the data is and what was measured, and writes down why. Nothing here measures; what the job says itself is never chosen.</summary>
internal sealed class AutoChoice(TrainingInput own)
{
    /// <summary>A smaller batch learns more from an epoch, so the smallest is taken that is nearly as fast as the fastest.</summary>
    private const double NearlyAsFast = 0.85;

    /// <summary>Epochs that must fit into the budget for a larger network to be taken.</summary>
    private const int EpochsForLarge = 60;

    /// <summary>Says in the reasons what trials are compared by.</summary>
    public const string MetricField = "metric";

    /// <summary>From so many times as many items in the largest class as in the smallest, that one counts as much as the others.</summary>
    private const int Imbalanced = 2;

    private readonly JsonObject _training = [];
    private string? _metric;
    private string _misfit = "";
    private readonly List<AutoReason> _reasons = [];

    /// <summary>Why each thing was chosen so far.</summary>
    public IReadOnlyList<AutoReason> Reasons => _reasons;

    public void Data(AutoData data)
    {
        if (data.Kind == "images" && own.Data?.Image is null)
            Set("data.image.normalise", true, "images train faster with each channel's mean taken out and its deviation set to 1");
        if (data.Kind == "images" && own.Data?.Augmentation is null && data.Task != TrainingTask.Autoencoding)
            Augment(data);
        if (own.Loss is null && data.Task == TrainingTask.Classification && data.ClassCounts.Where(c => c > 0).ToArray() is { Length: > 1 } counts && counts.Max() > 5 * counts.Min())
            Set("loss.balanced", true, $"the largest class has {counts.Max()} items, the smallest {counts.Min()}: unweighted, small classes would hardly count");
        Metric(data);
        if (own.Optimizer is null)
            Set("optimizer", "adamw", "it works over a wide range of step sizes, and its weight decay holds small data sets from being learned by heart");
        if (own.Schedule is null)
            Set("schedule.kind", "cosine", "half a cosine down to zero settles the last epochs without anything to tune");
        if (own.Optimization is null)
            Set("optimization.clipNorm", 1, "one batch with a wild gradient does not undo an epoch");
    }

    private void Metric(AutoData data)
    {
        _metric = Sweeps.SweepMetric.Default(data.Task, lossVaries: false);
        if (data.Task != TrainingTask.Classification || data.ClassCounts.Where(c => c > 0).ToArray() is not { Length: > 1 } counts)
            Say(MetricField, _metric, data.Task == TrainingTask.MultiLabel ? "the share of labels that are right" : "what is learned is numbers, and the loss is what the training makes small");
        else if (counts.Max() > Imbalanced * counts.Min())
            Say(MetricField, _metric = Sweeps.SweepMetric.BalancedAccuracy, $"the largest class has {counts.Max()} items, the smallest {counts.Min()}: by plain accuracy a model that knows the large classes only would win, so each class counts as much as the others");
        else
            Say(MetricField, _metric, $"the classes are of like size ({counts.Min()} to {counts.Max()} items), so the share that is right does justice to all");
    }

    /// <summary>The networks worth measuring, the largest first.</summary>
    /// <exception cref="ProblemException"><c>specification_invalid</c>: none takes such images.</exception>
    public IReadOnlyList<string> Presets(AutoData data)
    {
        if (own.Preset is { } preset)
            return [preset];
        if (own.Network is not null || own.StartFrom is not null)
            return [];
        if (data.Kind != "images")
            return data.Kind == "texts" ? ["text-cnn"] : data.Train < AutoNetworks.FewItems ? ["logistic"] : ["mlp"];
        var shape = TensorShape.Image(data.Channels, data.Height, data.Width);
        var (fitting, tooLarge) = AutoNetworks.ForImages(
            shape, data.Task == TrainingTask.Autoencoding ? ExampleTargets.OfInputs((int)shape.Count) : ExampleTargets.OfClasses([], data.Labels), data.Train, own.Views);
        _misfit = tooLarge.Count == 0 ? "" : $"; {string.Join(" and ", tooLarge)} need{(tooLarge.Count == 1 ? "s" : "")} larger images than {data.Width} × {data.Height}";
        return fitting;
    }

    /// <summary>Chooses among networks whose seconds per epoch were measured, the largest first.</summary>
    public string Preset(AutoData data, IReadOnlyList<(string Preset, double SecondsPerEpoch)> measured, double budgetSeconds)
    {
        var (chosen, seconds) = measured.FirstOrDefault(m => m.SecondsPerEpoch * EpochsForLarge <= budgetSeconds * AutoBudget.Spent, measured[^1]);
        var why = measured.Count > 1
            ? $"an epoch takes {Seconds(seconds)}; {(chosen == measured[^1].Preset ? "the larger ones take too long for this budget" : "the largest of which some sixty epochs fit into the budget")} ({string.Join(", ", measured.Select(m => $"{m.Preset} {Seconds(m.SecondsPerEpoch)}"))})"
            : data.Kind switch
            {
                "texts" => "convolutions over word pieces need no pretraining and little data",
                _ when chosen == "logistic" => $"with {data.Train} items a network with hidden layers would learn them by heart",
                "images" => $"an epoch takes {Seconds(seconds)}, and a larger network would take too long for this budget",
                _ => "the network that fits such data",
            };
        Set("preset", chosen, why + _misfit);
        return chosen;
    }

    public BatchSpeed BatchSize(IReadOnlyList<BatchSpeed> measured, string? limitedBy)
    {
        var fastest = measured.Max(m => m.ItemsPerSecond);
        var chosen = measured.OrderBy(m => m.BatchSize).First(m => m.ItemsPerSecond >= NearlyAsFast * fastest);
        Set("batchSize", chosen.BatchSize, $"the smallest that is nearly as fast as the fastest, and fits: {string.Join(", ", measured.Select(m => string.Create(CultureInfo.InvariantCulture, $"{m.BatchSize}: {m.ItemsPerSecond:N0} items/s")))}{(limitedBy is null ? "" : $"; {limitedBy}")}");
        return chosen;
    }

    /// <summary>Sets epochs and trials; a step size found by the range test is varied around.</summary>
    /// <exception cref="ProblemException"><c>budget_too_small</c>.</exception>
    public AutoProposal Plan(AutoData data, double secondsPerEpoch, AutoBudget budget, double? range)
    {
        budget.RequireEpoch(data, secondsPerEpoch);
        var affordable = budget.ForEpochs / secondsPerEpoch;
        var most = own.Epochs ?? (data.Kind switch { "images" => 60, "texts" => 20, _ => 100 });
        // Six trials in rungs of e, 3e and 9e epochs take 6e + 2 · 2e + 6e; three in rungs of e and 3e take 3e + 2e.
        var (trials, rungs, cost) = affordable >= 16 && range is not null ? (6, 9, 16.0) : affordable >= 5 && range is not null ? (3, 3, 5.0) : (1, 1, 1.0);
        var least = (int)Math.Max(1, Math.Min(affordable / cost, most / (double)rungs));
        var epochs = Math.Min(own.Epochs ?? int.MaxValue, trials == 1 ? (int)Math.Min(affordable, most) : least * rungs);
        if (own.Epochs is null)
            Set("epochs", epochs, $"{Seconds(secondsPerEpoch)} each: some {affordable:N0} epochs fit into the budget over all trials{(epochs >= most ? $", and beyond {most} such data gains little" : "")}");
        if (own.Stopping is null && data.Kind is "tables" or "texts" or "arrays")
        {
            Set("stopping.patience", Math.Max(3, epochs / 5), "small data is learned by heart at some point: the training ends when validation no longer gets better");
            Set("stopping.restoreBest", true, "and the best epoch's weights are kept");
        }

        if (own.Stopping is null)
            Set("stopping.maxMinutes", Math.Ceiling(budget.Left / 60 * 1000) / 1000, "what is left of the budget: no training goes on beyond it");
        double[] factors = trials switch { 6 => [1, 0.333, 3, 0.1, 0.6, 1.8], 3 => [1, 0.333, 3], _ => [1] };
        IReadOnlyDictionary<string, JsonElement>[] points =
            [.. factors.Select(f => new Dictionary<string, JsonElement> { ["learningRate"] = JsonSerializer.SerializeToElement(double.Parse((Math.Min(10, f * (range ?? own.LearningRate ?? 0.001))).ToString("G3", CultureInfo.InvariantCulture), CultureInfo.InvariantCulture)) })];
        Say("trials", trials, trials == 1
            ? (range is null ? "no step size was found to search around" : "the budget is spent on one training")
            : "step sizes around the one found; poor ones end after the first rung, the best goes on to all epochs");
        return new() { Training = JsonSerializer.SerializeToElement(_training), Points = points, MinEpochs = Math.Min(least, Math.Max(1, epochs - 1)), Metric = _metric, Reasons = _reasons, SecondsPerEpoch = secondsPerEpoch };
    }

    public void LearningRate(LearningRateRange range) =>
        Say("learningRate", double.Parse(range.Proposal.ToString("G3", CultureInfo.InvariantCulture), CultureInfo.InvariantCulture), string.Create(CultureInfo.InvariantCulture, $"a range test (Smith 2017) had its lowest loss at {range.Lowest:G2}; a tenth of that is where a training is safe"));

    public void NoRange(string reason) => Say("learningRate", 0.001, reason);

    private void Augment(AutoData data)
    {
        var letters = data.Labels.Count > 0 && data.Labels.All(label => label.Length <= 2);
        if (data.Channels == 3 && !letters)
            Set("data.augmentation.flip", "alternating", "a thing seen in a mirror is the same thing: every other epoch shows the mirror image");
        else
            Say("data.augmentation.flip", "none", letters ? "the classes look like digits or letters, which are others in a mirror" : "images without colour may be writing, which is another in a mirror");
        var crop = Math.Max(1, Math.Min(data.Width, data.Height) / 16);
        Set("data.augmentation.crop", crop, $"moved by up to {crop} of {Math.Min(data.Width, data.Height)} pixels, a thing is the same");
    }

    private void Set<T>(string field, T value, string reason)
    {
        Sweeps.FieldPath.Parse(field).Set(_training, JsonSerializer.SerializeToElement(value));
        Say(field, value, reason);
    }

    private void Say<T>(string field, T value, string reason) => _reasons.Add(new(field, JsonSerializer.SerializeToElement(value), reason));

    private static string Seconds(double seconds) => seconds < 0.01 ? "under 0.01 s" : string.Create(CultureInfo.InvariantCulture, $"{seconds:0.##} s");

    /// <summary>What was chosen so far, over what the job says.</summary>
    public JsonObject Chosen() => (JsonObject)_training.DeepClone();
}
