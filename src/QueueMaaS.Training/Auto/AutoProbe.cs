using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text.Json;
using System.Text.Json.Nodes;
using QueueMaaS.Contracts;
using QueueMaaS.Training.Evaluation;
using QueueMaaS.Training.Feeding;
using QueueMaaS.Training.Optimisation;
using QueueMaaS.Training.Preparation;
using QueueMaaS.Training.Recipes;
using QueueMaaS.Training.Running;
using QueueMaaS.Training.Specification;
using TorchSharp;

namespace QueueMaaS.Training.Auto;

/// <summary>Looks at a data set and measures on this machine what training on it costs, then proposes settings and trials for a time budget.</summary>
internal static class AutoProbe
{
    /// <summary>Steps of one run; those before also set things up.</summary>
    private const int TimedSteps = 4;
    private const int WarmUpSteps = 2;

    /// <summary>Setting up takes longer than a step of a small network, so no run ends before its first settled step to save less than this.</summary>
    private const double SettlingSeconds = 1;

    /// <summary>Of what all measuring may take, what one network's runs may take before the next is looked at.</summary>
    private const double NetworkShare = 0.25;
    private const int FewestRangeSteps = 25;

    /// <summary>So many times as long as it should take, a range test may take.</summary>
    private const double Patience = 1.5;
    private const double MemoryShare = 0.6;
    private static readonly int[] BatchSizes = [32, 64, 128, 256, 512];

    /// <param name="request">The data, and the settings that the job itself gives.</param>
    /// <param name="document">The training as the job has it.</param>
    /// <param name="minutes">The whole budget.</param>
    /// <param name="cancellationToken">Stops between two measurements.</param>
    /// <exception cref="ProblemException"><c>budget_too_small</c>, or whatever is wrong with the data.</exception>
    public static AutoProposal Run(TrainingRequest request, JsonObject document, double minutes, CancellationToken cancellationToken)
    {
        var clock = Stopwatch.StartNew();
        var own = TrainingDocument.Read(JsonSerializer.SerializeToElement(document));
        var choice = new AutoChoice(own);
        Directory.CreateDirectory(request.WorkFolder);
        var prepared = DataPreparer.Prepare(request, cancellationToken);
        var loading = clock.Elapsed.TotalSeconds;
        var data = Describe(prepared);
        choice.Data(data);
        var chosenFor = request with { Settings = Settings(document, choice) };
        // Images are measured as they will be trained on: normalised and varied.
        if (data.Kind == "images")
            prepared = DataPreparer.Prepare(chosenFor, cancellationToken);
        var measure = new Measurement(chosenFor, prepared);
        var measuring = minutes * 60 * AutoBudget.MeasuringShare;
        var presets = choice.Presets(data);
        if (presets.Count > 0)
        {
            var timed = new List<(string, double)>();
            // The smallest first: where a larger one has no chance, its measurement is not worth the time.
            foreach (var preset in presets.Reverse())
            {
                cancellationToken.ThrowIfCancellationRequested();
                timed.Insert(0, (preset, AutoBudget.SecondsPerEpoch(data, measure.BestSpeed(preset, own.BatchSize ?? 64, measuring * NetworkShare))));
                if (timed[0].Item2 * 20 > minutes * 60 || clock.Elapsed.TotalSeconds - loading > measuring)
                    break;
            }

            var chosen = own.Preset is null ? choice.Preset(data, timed, minutes * 60) : own.Preset;
            measure = measure with { Preset = chosen };
        }

        var fastest = own.BatchSize is { } given ? new BatchSpeed(given, measure.BestSpeed(measure.Preset, given, measuring)) : ChooseBatch(choice, measure, data, measuring, cancellationToken);
        double? rate = own.LearningRate is null ? RangeTest(choice, measure, fastest, minutes * 60 * AutoBudget.RangeShare, cancellationToken) : null;
        return choice.Plan(data, AutoBudget.SecondsPerEpoch(data, fastest.ItemsPerSecond), new(minutes, loading, clock.Elapsed.TotalSeconds - loading), rate);
    }

    private static BatchSpeed ChooseBatch(AutoChoice choice, Measurement measure, AutoData data, double seconds, CancellationToken cancellationToken)
    {
        var clock = Stopwatch.StartNew();
        var (speeds, limited) = BatchSpeeds.Measure(BatchSizes.Where(size => size == BatchSizes[0] || size * 20 <= data.Train), Run, Obstacle, speed => HasTime(speed.BatchSize, speed));
        return choice.BatchSize(speeds, limited);

        double? Run(int size)
        {
            cancellationToken.ThrowIfCancellationRequested();
            try
            {
                return measure.Speed(measure.Preset, size, seconds - clock.Elapsed.TotalSeconds);
            }
            catch (ExternalException e) when (OutOfMemory.Is(e) && size > BatchSizes[0])
            {
                return null;
            }
        }

        string? Obstacle(int size, IReadOnlyList<BatchSpeed> speeds)
        {
            if (speeds.Count == 0)
                return null;
            if (!HasTime(size, speeds[^1]))
                return $"to measure {size} would take too much of the budget";
            return Environment.WorkingSet > MemoryShare * GC.GetGCMemoryInfo().TotalAvailableMemoryBytes ? $"beyond {speeds[^1].BatchSize} more than {MemoryShare:P0} of the memory would be taken" : null;
        }

        bool HasTime(int size, BatchSpeed known) => clock.Elapsed.TotalSeconds + ((WarmUpSteps + TimedSteps) * size / known.ItemsPerSecond) <= seconds;
    }

    private static double? RangeTest(AutoChoice choice, Measurement measure, BatchSpeed speed, double seconds, CancellationToken cancellationToken)
    {
        var steps = (int)Math.Min(100, seconds * speed.ItemsPerSecond / speed.BatchSize);
        if (steps < FewestRangeSteps)
        {
            choice.NoRange($"a range test of {FewestRangeSteps} steps would take too much of the budget, so it is the usual one of Adam");
            return null;
        }

        var range = new LearningRateRange(steps: steps);
        var clock = Stopwatch.StartNew();
        // The machine may have become slower since its speed was measured; a test that is cut short has found nothing.
        var late = false;
        measure.Steps(
            measure.Preset, speed.BatchSize, range.Steps, range.At,
            (step, loss) => range.Add(step, loss) && !(late = clock.Elapsed.TotalSeconds > Patience * seconds) && !cancellationToken.IsCancellationRequested);
        cancellationToken.ThrowIfCancellationRequested();
        if (late)
        {
            choice.NoRange("a range test took too much of the budget and was given up, so it is the usual one of Adam");
            return null;
        }

        if (!range.IsFound)
        {
            choice.NoRange(string.Create(System.Globalization.CultureInfo.InvariantCulture, $"a range test (Smith 2017) found no step size: its loss was lowest at {range.Lowest:G2}, at or near the smallest that it tried, so it is the usual one of Adam"));
            return null;
        }

        choice.LearningRate(range);
        return range.Proposal;
    }

    private static TrainingSettings Settings(JsonObject document, AutoChoice choice)
    {
        var merged = TrainingDocument.Over(choice.Chosen(), document);
        return TrainingSettings.From(TrainingDocument.Read(JsonSerializer.SerializeToElement(merged)));
    }

    private static AutoData Describe(PreparedData prepared)
    {
        var (examples, shape) = (prepared.Examples, prepared.Examples.Inputs.Shape);
        var counts = new int[Math.Max(1, examples.Targets.Names.Count)];
        if (examples.Targets.Classes is { } classes)
        {
            foreach (var item in examples.Split.Train)
                counts[classes[item]]++;
        }

        var isImage = prepared.Pipeline.Image is not null;
        var kind = isImage ? "images" : prepared.Pipeline.Text is not null ? "texts" : prepared.Pipeline.Table is not null ? "tables" : "arrays";
        return new(
            kind, examples.Split.Train.Length, examples.Split.Validation.Length, examples.Targets.Task, examples.Targets.Names, counts,
            isImage ? shape.Sizes[2] : 0, isImage ? shape.Sizes[1] : 0, isImage ? shape.Sizes[0] : 0);
    }

    /// <summary>Trains throw-away networks for a few steps.</summary>
    private sealed record Measurement(TrainingRequest Request, PreparedData Data)
    {
        /// <summary>The network to measure; null: the one that the settings spell out.</summary>
        public string? Preset { get; init; }

        /// <summary>Training items per second: the best of several runs, as many as there is time for.</summary>
        public double BestSpeed(string? preset, int batch, double seconds)
        {
            var clock = Stopwatch.StartNew();
            var best = 0.0;
            for (var run = 0; run < BatchSpeeds.Rounds && (run == 0 || clock.Elapsed.TotalSeconds * (run + 1) / run <= seconds); run++)
                best = Math.Max(best, Speed(preset, batch, seconds - clock.Elapsed.TotalSeconds));
            return best;
        }

        /// <summary>Training items per second in one short run: by the step in the middle of those timed, so that one that was disturbed does not count. It ends early, after one step at least, once its time is up.</summary>
        public double Speed(string? preset, int batch, double seconds)
        {
            var timed = new List<double>(WarmUpSteps + TimedSteps);
            var began = Stopwatch.GetTimestamp();
            var last = began;
            Steps(preset, batch, WarmUpSteps + TimedSteps, _ => 1e-4, (_, _) =>
            {
                timed.Add(Stopwatch.GetElapsedTime(last).TotalSeconds);
                last = Stopwatch.GetTimestamp();
                var taken = Stopwatch.GetElapsedTime(began).TotalSeconds;
                return taken < (timed.Count <= WarmUpSteps ? Math.Max(seconds, SettlingSeconds) : seconds);
            });
            // The first steps also set things up; where nothing else is there, the last of them is nearest to the truth.
            double[] settled = [.. timed.Skip(Math.Min(WarmUpSteps, timed.Count - 1)).Order()];
            return Math.Min(batch, Data.Examples.Split.Train.Length) / Math.Max(1e-6, settled[(settled.Length - 1) / 2]);
        }

        public void Steps(string? preset, int batch, int steps, Func<int, double> rate, Func<int, double, bool> after)
        {
            var settings = Request.Settings with { BatchSize = batch, Preset = preset ?? Request.Settings.Preset };
            var plan = StartingPoint.Apply(TrainingPlan.For(settings, Data.Examples, Data.DefaultPreset), Request.StartFrom, out _);
            OutputCheck.Require(plan.Network, plan.Data.Inputs.Shape, plan.Data.Targets);
            Runtime.TorchRuntime.EnsureLoaded();
            var device = torch.cuda_is_available() ? torch.CUDA : torch.CPU;
            using var model = BuiltModel.Build(plan.Network, plan.Data.Inputs.Shape, settings.Seed, device);
            model.Half = HalfPrecision.Of(settings.Precision, model.Device);
            if (plan.FirstWeights is { } first)
                FirstWeights.Take(model, first);
            Whitening.Apply(model, plan.Data, settings.Seed);
            using var loss = LossFunction.Create(settings.Loss, plan.Data, device);
            using var update = WeightUpdate.Create(settings.Optimizer, model, settings.Optimization);
            var feed = new BatchFeed(plan.Data, batch, settings.Seed, settings.Data.Augmentation);
            for (var (step, epoch) = (0, 1); ; epoch++)
            {
                foreach (var items in feed.Read(EpochOrder.Of(plan.Data, balanced: false, settings.Seed, epoch), 0, epoch, CancellationToken.None))
                {
                    using var scope = torch.NewDisposeScope();
                    update.ClearGradients();
                    var output = model.Train(plan.Data.Inputs.ToTensor(items.Inputs.AsSpan(0, items.Count * plan.Data.Inputs.Width), items.Count, device));
                    var value = loss.Compute(output, items);
                    value.backward();
                    update.Apply(rate(step));
                    if (!after(step, ModelEvaluator.First(value)) || ++step >= steps)
                        return;
                }
            }
        }
    }
}
