namespace QueueMaaS.Contracts;

/// <summary>What a training job reports while it runs.</summary>
public sealed record TrainingProgress
{
    /// <summary><c>loading</c>, <c>training</c>, <c>validating</c>, <c>exporting</c> or <c>checking</c>.</summary>
    public required string Phase { get; init; }
    /// <summary>The epoch being trained, from 1.</summary>
    public required int Epoch { get; init; }
    /// <summary>Epochs asked for.</summary>
    public required int Epochs { get; init; }
    /// <summary>Steps done in this epoch.</summary>
    public required int Step { get; init; }
    /// <summary>Steps in an epoch.</summary>
    public required int Steps { get; init; }
    /// <summary>Mean training loss of this epoch so far.</summary>
    public double? Loss { get; init; }
    /// <summary>Classification: share of training items of this epoch classified right so far.</summary>
    public double? Accuracy { get; init; }
    /// <summary>The step size now.</summary>
    public double? LearningRate { get; init; }
    /// <summary>Training speed over the recent steps, in items (the name is older than other items than images).</summary>
    public double? ImagesPerSecond { get; init; }
    /// <summary>The share of the time in which the trainer waited for data.</summary>
    public double? InputBound { get; init; }
    /// <summary>The share of the time in which the trainer stood back for inference.</summary>
    public double? Yielded { get; init; }
    /// <summary>Estimated seconds to the end of the job.</summary>
    public double? SecondsLeft { get; init; }
    /// <summary>When the job will probably end.</summary>
    public DateTimeOffset? ExpectedFinish { get; init; }
    /// <summary>What it is trained on, such as <c>cpu</c>.</summary>
    public string? Device { get; init; }
    /// <summary>The epochs finished so far.</summary>
    public required IReadOnlyList<EpochMetrics> History { get; init; }
}

/// <summary>Figures of one finished epoch.</summary>
public sealed record EpochMetrics
{
    /// <summary>From 1.</summary>
    public required int Epoch { get; init; }
    /// <summary>Mean loss over the training items.</summary>
    public required double Loss { get; init; }
    /// <summary>Classification: share of training items classified right, measured while training. Multi-label: share of labels. Other tasks: 0.</summary>
    public required double Accuracy { get; init; }
    /// <summary>Mean loss over the validation items.</summary>
    public required double ValidationLoss { get; init; }
    /// <summary>Classification: share of validation items classified right. Multi-label: share of labels. Other tasks: 0.</summary>
    public required double ValidationAccuracy { get; init; }
    /// <summary>Regression and autoencoding: mean absolute difference over the validation items, in units of the target.</summary>
    public double? ValidationError { get; init; }
    /// <summary>Regression: the share of the variance that is explained (R²).</summary>
    public double? ValidationR2 { get; init; }
    /// <summary>The step size at the end of the epoch.</summary>
    public double? LearningRate { get; init; }
    /// <summary>Seconds the epoch took, validation included.</summary>
    public required double Seconds { get; init; }
    /// <summary>Training items per second, validation left out.</summary>
    public required double ImagesPerSecond { get; init; }
    /// <summary>The share of the training time in which the trainer waited for data.</summary>
    public double? InputBound { get; init; }
}

/// <summary>The result of a training job.</summary>
public sealed record TrainingOutput
{
    /// <summary>The model's name.</summary>
    public required string Model { get; init; }
    /// <summary>The version registered.</summary>
    public required int Version { get; init; }
    /// <summary>The alias that now points at it, if one was asked for or it is the first version.</summary>
    public string? Alias { get; init; }
    /// <summary>Why the alias of <c>deploy</c> did not move, where it did not: the version is registered all the same. Point the alias at it once what is said here is mended.</summary>
    public Problem? DeployRefused { get; init; }
    /// <summary>The job that judges the gate, where one was declared: its output is the decision.</summary>
    public string? Promotion { get; init; }
    /// <summary>The ONNX file, <c>sha256:…</c>.</summary>
    public required string OnnxArtifact { get; init; }
    /// <summary>The weights as a safetensors file, <c>sha256:…</c>, under PyTorch's names.</summary>
    public string? WeightsArtifact { get; init; }
    /// <summary>The data set with its version.</summary>
    public required string Dataset { get; init; }
    /// <summary>What was learned.</summary>
    public TrainingTask Task { get; init; }
    /// <summary>Class names in the order of the model's outputs; empty where it has none.</summary>
    public required IReadOnlyList<string> Labels { get; init; }
    /// <summary>Items trained on.</summary>
    public required int TrainImages { get; init; }
    /// <summary>Items kept apart.</summary>
    public required int ValidationImages { get; init; }
    /// <summary>Items that could not be read and were left out.</summary>
    public required CorruptItems Corrupt { get; init; }
    /// <summary>What was found and done while the data was prepared.</summary>
    public DataReport? Data { get; init; }
    /// <summary>Every epoch.</summary>
    public required IReadOnlyList<EpochMetrics> History { get; init; }
    /// <summary>The epoch whose weights were exported.</summary>
    public int? Epoch { get; init; }
    /// <summary>Why the training ended before its last epoch, where it did: <c>earlyStopping</c> or <c>timeBudget</c>.</summary>
    public string? StoppedBy { get; init; }
    /// <summary>Share of validation items that the final model classifies right; left out of tasks without classes.</summary>
    public double? ValidationAccuracy { get; init; }
    /// <summary>Validation counts by true class (row) and predicted class (column), in the order of <see cref="Labels"/>; empty for tasks without classes.</summary>
    public required IReadOnlyList<IReadOnlyList<int>> ConfusionMatrix { get; init; }
    /// <summary>How far the ONNX model is from the trained one.</summary>
    public required ExportParity Parity { get; init; }
    /// <summary>Numbers that were learned.</summary>
    public required long Parameters { get; init; }
    /// <summary>Weights taken over from the model it started from, where it did.</summary>
    public TransferReport? StartedFrom { get; init; }
    /// <summary>What it was trained on, such as <c>cpu</c>.</summary>
    public required string Device { get; init; }
    /// <summary>Seconds from claim to registration.</summary>
    public required double Seconds { get; init; }
}

/// <summary>Weights taken over from another model.</summary>
/// <param name="Model">The model with its version.</param>
/// <param name="Taken">Weights taken over.</param>
/// <param name="New">Weights that began anew, by name.</param>
/// <param name="Frozen">Weights that were not trained.</param>
public sealed record TransferReport(string Model, int Taken, IReadOnlyList<string> New, int Frozen);

/// <summary>What was found and done while the data was prepared.</summary>
public sealed record DataReport
{
    /// <summary>How the items were split: a rule, or <c>own</c>.</summary>
    public required string Split { get; init; }
    /// <summary>Items left out because another has the same content.</summary>
    public int Duplicates { get; init; }
    /// <summary>Validation items whose content is among the training items as well, before anything was done about it.</summary>
    public int Leaks { get; init; }
    /// <summary>Items made up for small classes.</summary>
    public int Synthetic { get; init; }
    /// <summary>Items left out because a value was missing.</summary>
    public int Incomplete { get; init; }
    /// <summary>Images whose files are of different sizes, where the job names none.</summary>
    public MixedSizes? Sizes { get; init; }
}

/// <summary>Images of different sizes, and the size that all were given: the most frequent one.</summary>
/// <param name="Looked">How many images were measured, spread over the data set.</param>
/// <param name="Different">How many sizes they have.</param>
/// <param name="Width">Taken, in pixels.</param>
/// <param name="Height">Taken, in pixels.</param>
/// <param name="OfThisSize">How many of those measured have it.</param>
public sealed record MixedSizes(int Looked, int Different, int Width, int Height, int OfThisSize);

/// <summary>Items that could not be read.</summary>
/// <param name="Count">How many.</param>
/// <param name="Share">Their share of all items.</param>
/// <param name="Examples">Up to ten of their names.</param>
public sealed record CorruptItems(int Count, double Share, IReadOnlyList<string> Examples);

/// <summary>The comparison of the exported ONNX model, run by ONNX Runtime, with the trained module on validation items.</summary>
/// <param name="Images">Items compared.</param>
/// <param name="MaxAbsolute">The greatest absolute difference of an output.</param>
/// <param name="MaxRelative">The greatest difference relative to the larger output (outputs under 1e-3 are left out).</param>
/// <param name="SameLabel">Share of items for which both choose the same class; 1 where there are no classes.</param>
public sealed record ExportParity(int Images, double MaxAbsolute, double MaxRelative, double SameLabel);

/// <summary>A stored state of a training.</summary>
public sealed record TrainingCheckpoint
{
    /// <summary><c>epoch-3</c>, or <c>epoch-4-step-120</c> within an epoch.</summary>
    public required string Id { get; init; }
    /// <summary>The epoch that was finished, or was being trained.</summary>
    public required int Epoch { get; init; }
    /// <summary>Steps done in it; all of them after its end.</summary>
    public required int Step { get; init; }
    /// <summary>Steps done since the training began.</summary>
    public required long Steps { get; init; }
    /// <summary>The state as a safetensors file, <c>sha256:…</c>.</summary>
    public required string Artifact { get; init; }
    /// <summary>Its size.</summary>
    public required long Bytes { get; init; }
    /// <summary>The figures of the last finished epoch.</summary>
    public EpochMetrics? Metrics { get; init; }
    /// <summary>Checkpoints that were removed when this one was stored.</summary>
    public IReadOnlyList<string>? Removed { get; init; }
    /// <summary>When it was stored.</summary>
    public DateTimeOffset? CreatedAt { get; init; }
}
