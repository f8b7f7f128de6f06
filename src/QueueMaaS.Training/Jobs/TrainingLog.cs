using System.Globalization;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Execution;
using QueueMaaS.Training.Preparation;
using QueueMaaS.Training.Running;

namespace QueueMaaS.Training.Jobs;

/// <summary>A training's log and measurements: one line and one set of figures for each epoch, and a warning for what a person would want to know of. Each epoch is told once, by whichever attempt trained it.</summary>
/// <param name="attempt">Where it goes.</param>
/// <param name="epochs">Epochs asked for.</param>
/// <param name="told">Epochs that an earlier attempt has trained.</param>
internal sealed class TrainingLog(JobAttempt attempt, int epochs, int told)
{
    /// <summary>Beyond this share of waiting, faster reading would help more than a faster machine.</summary>
    private const double InputBound = 0.5;

    private int _told = told;
    private bool _waitTold;
    private PreparedData? _untold;

    public async Task BeginAsync(string dataset, string? checkpoint, int batchSize, CancellationToken cancellationToken)
    {
        await attempt.LogAsync("info", checkpoint is null ? $"Training on {dataset}, {epochs} epochs in batches of {batchSize}." : $"Training on {dataset} goes on from checkpoint {checkpoint}.", cancellationToken);
        if (attempt.BatchDivisor > 1)
            await attempt.LogAsync("warning", $"An attempt before ran out of memory: it begins anew in batches of {batchSize}.", cancellationToken);
    }

    /// <summary>Takes what was found in the data; it is told with the next epochs. Called on the training's thread.</summary>
    public void Prepared(PreparedData data) => Volatile.Write(ref _untold, data);

    /// <summary>Tells of the epochs that have ended since the last call. Reports may be skipped; no epoch is.</summary>
    public async Task TellAsync(IReadOnlyList<EpochMetrics> history, CancellationToken cancellationToken)
    {
        if (Interlocked.Exchange(ref _untold, null) is { } data)
        {
            foreach (var line in Findings(data))
                await attempt.LogAsync("warning", line, cancellationToken);
        }

        for (; _told < history.Count; _told++)
        {
            var epoch = history[_told];
            await attempt.MeasureAsync(Figures(epoch), cancellationToken);
            await attempt.LogAsync("info", Line(epoch), cancellationToken);
            if (!_waitTold && epoch.InputBound > InputBound)
            {
                _waitTold = true;
                await attempt.LogAsync("warning", string.Create(CultureInfo.InvariantCulture, $"Epoch {epoch.Epoch} waited {epoch.InputBound:P0} of its time for data: reading and decoding limit the speed."), cancellationToken);
            }
        }
    }

    public async Task EndAsync(TrainingArtifacts trained, CancellationToken cancellationToken)
    {
        await TellAsync(trained.History, cancellationToken);
        await attempt.LogAsync("info", $"Trained {trained.History.Count} epochs{(trained.StoppedBy is { } why ? $", stopped by {why}" : "")}; the weights are those of epoch {trained.Epoch}.", cancellationToken);
    }

    /// <summary>What a person would want to know of the data that was trained on.</summary>
    internal static IEnumerable<string> Findings(PreparedData data)
    {
        if (data.Corrupt is { Count: > 0 } corrupt)
            yield return $"{corrupt.Count} items could not be read and were left out, such as {(corrupt.Examples is [var first, ..] ? first : "one without a name")}.";
        if (data.Report.Sizes is { } sizes)
            yield return $"The images are of different sizes ({sizes.Different} among {sizes.Looked} looked at). All were made {sizes.Width} × {sizes.Height}, the most frequent ({sizes.OfThisSize} of {sizes.Looked}); data.image names another.";
        if (data.Report.Incomplete > 0)
            yield return $"{data.Report.Incomplete} items were left out of training and validation because a value was missing: of the target or text, or of a column whose missing values are refused.";
    }

    private string Line(EpochMetrics epoch)
    {
        var second = epoch.ValidationError is { } error ? string.Create(CultureInfo.InvariantCulture, $"validation error {error:G4}") : string.Create(CultureInfo.InvariantCulture, $"validation accuracy {epoch.ValidationAccuracy:F4}");
        return string.Create(CultureInfo.InvariantCulture, $"Epoch {epoch.Epoch} of {epochs}: loss {epoch.Loss:G4}, validation loss {epoch.ValidationLoss:G4}, {second}, {epoch.Seconds:F1} s.");
    }

    /// <summary>JSON knows no infinity: what is not finite is left out.</summary>
    private static Dictionary<string, double> Figures(EpochMetrics epoch) => new (string Name, double? Value)[]
    {
        ("epoch", epoch.Epoch), ("loss", epoch.Loss), ("accuracy", epoch.Accuracy), ("validationLoss", epoch.ValidationLoss), ("validationAccuracy", epoch.ValidationAccuracy),
        ("validationError", epoch.ValidationError), ("validationR2", epoch.ValidationR2), ("learningRate", epoch.LearningRate), ("seconds", epoch.Seconds), ("itemsPerSecond", epoch.ImagesPerSecond),
    }.Where(figure => figure.Value is { } value && double.IsFinite(value)).ToDictionary(figure => figure.Name, figure => figure.Value!.Value, StringComparer.Ordinal);
}
