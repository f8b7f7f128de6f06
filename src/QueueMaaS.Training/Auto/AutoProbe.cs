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
    private const int SpeedSteps = 4;

    /// <summary>Of the budget, what all measuring of networks and batch sizes may take, and the range test.</summary>
    private const double MeasuringShare = 0.15;
    private const double RangeShare = 0.1;
    private const int FewestRangeSteps = 25;
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
        var presets = choice.Presets(data);
        if (presets.Count > 0)
        {
            var timed = new List<(string, double)>();
            // The smallest first: where a larger one has no chance, its measurement is not worth the time.
            foreach (var preset in presets.Reverse())
            {
                cancellationToken.ThrowIfCancellationRequested();
                timed.Insert(0, (preset, data.Train / measure.Speed(preset, own.BatchSize ?? 64)));
                if (timed[0].Item2 * 20 > minutes * 60 || clock.Elapsed.TotalSeconds - loading > MeasuringShare * minutes * 60)
                    break;
            }

            var chosen = own.Preset is null ? choice.Preset(data, timed, minutes * 60) : own.Preset;
            measure = measure with { Preset = chosen };
        }

        var fastest = own.BatchSize is { } given ? new BatchSpeed(given, measure.Speed(measure.Preset, given)) : ChooseBatch(choice, measure, data, minutes * 60 * MeasuringShare, cancellationToken);
        // Validating is a third of the work of training.
        var perEpoch = Math.Max(0.01, (data.Train + (data.Validation / 3.0)) / fastest.ItemsPerSecond);
        double? rate = own.LearningRate is null ? RangeTest(choice, measure, fastest, minutes * 60 * RangeShare, cancellationToken) : null;
        // Every trial reads the data again, and so does the registration.
        var left = (minutes * 60) - clock.Elapsed.TotalSeconds - (2 * loading);
        return choice.Plan(data, perEpoch, left, minutes, rate);
    }

    private static BatchSpeed ChooseBatch(AutoChoice choice, Measurement measure, AutoData data, double seconds, CancellationToken cancellationToken)
    {
        var clock = Stopwatch.StartNew();
        var speeds = new List<BatchSpeed>();
        string? limited = null;
        foreach (var size in BatchSizes.Where(size => size == BatchSizes[0] || size * 20 <= data.Train))
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (speeds.Count > 0 && clock.Elapsed.TotalSeconds + (SpeedSteps * size / speeds[^1].ItemsPerSecond) > seconds)
            {
                limited = $"to measure {size} would take too much of the budget";
                break;
            }

            try
            {
                speeds.Add(new(size, measure.Speed(measure.Preset, size)));
            }
            catch (ExternalException e) when (OutOfMemory.Is(e) && speeds.Count > 0)
            {
                limited = $"{size} did not fit into memory";
                break;
            }

            if (Environment.WorkingSet > MemoryShare * GC.GetGCMemoryInfo().TotalAvailableMemoryBytes)
            {
                limited = $"beyond {size} more than {MemoryShare:P0} of the memory would be taken";
                break;
            }
        }

        return choice.BatchSize(speeds, limited);
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
        measure.Steps(measure.Preset, speed.BatchSize, range.Steps, range.At, (step, loss) => range.Add(step, loss) && !cancellationToken.IsCancellationRequested);
        cancellationToken.ThrowIfCancellationRequested();
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

        /// <summary>Training items per second.</summary>
        public double Speed(string? preset, int batch)
        {
            var (items, ticks) = (0L, 0L);
            var last = Stopwatch.GetTimestamp();
            Steps(preset, batch, SpeedSteps, _ => 1e-4, (step, _) =>
            {
                var now = Stopwatch.GetTimestamp();
                // The first step also sets things up.
                if (step > 0)
                    (items, ticks) = (items + Math.Min(batch, Data.Examples.Split.Train.Length), ticks + now - last);
                last = now;
                return true;
            });
            return items == 0 ? 1 : items / Math.Max(1e-6, Stopwatch.GetElapsedTime(0, ticks).TotalSeconds);
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
