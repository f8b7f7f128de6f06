using QueueMaaS.Contracts;
using QueueMaaS.Data.Loading;
using QueueMaaS.Training.Evaluation;
using QueueMaaS.Training.Optimisation;
using QueueMaaS.Training.Specification;
using TorchSharp;
using static TorchSharp.torch.nn.functional;

namespace QueueMaaS.Training.Running;

/// <summary>A trained model and how it went. The caller disposes the model.</summary>
/// <param name="Model">With the weights after the last epoch.</param>
/// <param name="Split">Which images it was trained and validated on.</param>
/// <param name="History">Every epoch.</param>
/// <param name="Final">The validation after the last epoch.</param>
/// <param name="Device">What it was trained on: <c>cpu</c> or <c>cuda</c>.</param>
public sealed record TrainedModel(BuiltModel Model, DataSplit Split, IReadOnlyList<EpochMetrics> History, EvaluationResult Final, string Device);

/// <summary>Trains a classifier of images with cross-entropy on its logits, on pixels scaled to [0, 1].</summary>
public sealed class ImageTrainer(TimeProvider? time = null)
{
    private readonly TimeProvider _time = time ?? TimeProvider.System;

    /// <summary>Trains on a thread of its own.</summary>
    /// <param name="data">The images.</param>
    /// <param name="settings">How to train.</param>
    /// <param name="report">Called on the training thread at most twice a second, and after every epoch; must return soon.</param>
    /// <param name="afterStep">Called on the training thread after every step, with the number of steps done since the start; what it throws ends the training.</param>
    /// <param name="cancellationToken">Stops within one step.</param>
    /// <exception cref="ProblemException"><c>specification_invalid</c>, <c>training_diverged</c>, <c>dataset_empty</c>, <c>dataset_one_class</c> or <c>training_runtime_unavailable</c>.</exception>
    public Task<TrainedModel> TrainAsync(
        LabelledImages data, TrainingSettings settings, Action<TrainingProgress>? report = null, Action<long>? afterStep = null, CancellationToken cancellationToken = default) =>
        Task.Factory.StartNew(() => Train(data, settings, report, afterStep, cancellationToken), cancellationToken, TaskCreationOptions.LongRunning, TaskScheduler.Default);

    /// <summary>Trains on the calling thread; otherwise as <see cref="TrainAsync"/>.</summary>
    public TrainedModel Train(
        LabelledImages data, TrainingSettings settings, Action<TrainingProgress>? report = null, Action<long>? afterStep = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(data);
        ArgumentNullException.ThrowIfNull(settings);
        cancellationToken.ThrowIfCancellationRequested();
        var split = DataSplit.Of(data, settings.ValidationShare, settings.Seed);
        var specification = ModelPresets.Create(settings.Preset, data.Classes.Count);
        var device = torch.cuda_is_available() ? torch.CUDA : torch.CPU;
        var model = BuiltModel.Build(specification, TensorShape.Image(data.Channels, data.Height, data.Width), settings.Seed, device);
        try
        {
            using var update = WeightUpdate.Create(settings.Optimizer, model, settings.LearningRate);
            var monitor = new ProgressMonitor(_time, settings.Epochs, split.Train.Length, settings.BatchSize, report);
            var order = (int[])split.Train.Clone();
            var random = new Random(Seeds.Fold(settings.Seed) ^ 0x5EED);
            EvaluationResult? evaluation = null;
            for (var epoch = 1; epoch <= settings.Epochs; epoch++)
            {
                random.Shuffle(order);
                monitor.BeginEpoch(epoch);
                foreach (var batch in BatchFeed.Read(data, order, settings.BatchSize, cancellationToken))
                {
                    cancellationToken.ThrowIfCancellationRequested();
                    var (loss, right) = Step(model, update, batch, data, device);
                    monitor.AfterStep(batch.Count, loss, right);
                    if (!double.IsFinite(loss))
                        throw Diverged(monitor, settings, loss);
                    afterStep?.Invoke(monitor.StepsDone);
                }

                monitor.BeginValidation();
                evaluation = ImageEvaluator.Evaluate(model, data, split.Validation, cancellationToken);
                monitor.EndEpoch(evaluation);
            }

            return new(model, split, monitor.History, evaluation!, device.type == DeviceType.CUDA ? "cuda" : "cpu");
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }

    private static (double Loss, long Right) Step(BuiltModel model, WeightUpdate update, ImageBatch batch, LabelledImages data, torch.Device device)
    {
        // Everything native made here is freed when the step ends: memory stays flat however long the training is.
        using var scope = torch.NewDisposeScope();
        var input = batch.Input(data, device);
        var labels = batch.Target(device);
        update.ClearGradients();
        var logits = model.Train(input);
        var loss = cross_entropy(logits, labels);
        loss.backward();
        update.Apply();
        // Read through memory rather than through Scalar objects, for the reason given at WeightUpdate.
        return (loss.cpu().data<float>()[0], logits.argmax(1).eq(labels).sum().cpu().data<long>()[0]);
    }

    private static ProblemException Diverged(ProgressMonitor monitor, TrainingSettings settings, double loss) => new(
        ProblemCodes.TrainingDiverged,
        $"The loss became {(double.IsNaN(loss) ? "NaN" : "infinite")} in epoch {monitor.Epoch}, step {monitor.Step} of {monitor.Steps}: the weights grew without bound. Use a smaller 'learningRate' than {settings.LearningRate:G4}.",
        ("epoch", monitor.Epoch), ("step", monitor.Step), ("learningRate", settings.LearningRate));
}
