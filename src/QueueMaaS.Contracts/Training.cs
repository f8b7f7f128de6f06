namespace QueueMaaS.Contracts;

/// <summary>The input of a training job.</summary>
public sealed record TrainingInput
{
    /// <summary>The name to register the trained model under: 1 to 64 of lower-case letters, digits and <c>- _ .</c>.</summary>
    public required string Model { get; init; }
    /// <summary>The data set: <c>name</c> (its latest version) or <c>name@version</c>.</summary>
    public required string Dataset { get; init; }
    /// <summary>The model to build. Default <c>cnn-small</c>.</summary>
    public string? Preset { get; init; }
    /// <summary>Passes over the training images, 1 to 1,000. Default 10.</summary>
    public int? Epochs { get; init; }
    /// <summary>Images per step, 1 to 8,192. Default 64.</summary>
    public int? BatchSize { get; init; }
    /// <summary>The step size, above 0 and at most 10. Default 0.001.</summary>
    public double? LearningRate { get; init; }
    /// <summary><c>adam</c> or <c>sgd</c>. Default <c>adam</c>.</summary>
    public string? Optimizer { get; init; }
    /// <summary>Seeds the weights, the split and the order of images. Default 0.</summary>
    public long? Seed { get; init; }
    /// <summary>The share of images kept apart for validation (stratified) where the data set has no <c>test</c> split, 0.01 to 0.9. Default 0.1.</summary>
    public double? ValidationShare { get; init; }
    /// <summary>Use at most this many images, drawn evenly over the classes.</summary>
    public int? Limit { get; init; }
    /// <summary>The share of unreadable images up to which training goes on, 0 to 1. Default 0.01. They are counted and named in the result.</summary>
    public double? MaxCorruptShare { get; init; }
    /// <summary>The alias to point at the new version once it is registered, such as <c>production</c>. Default: none (the first version of a name becomes <c>production</c> by itself).</summary>
    public string? Deploy { get; init; }
}

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
    /// <summary>Share of training images of this epoch classified right so far.</summary>
    public double? Accuracy { get; init; }
    /// <summary>Training speed over the recent steps.</summary>
    public double? ImagesPerSecond { get; init; }
    /// <summary>Estimated seconds to the end of the job.</summary>
    public double? SecondsLeft { get; init; }
    /// <summary>The epochs finished so far.</summary>
    public required IReadOnlyList<EpochMetrics> History { get; init; }
}

/// <summary>Figures of one finished epoch.</summary>
public sealed record EpochMetrics
{
    /// <summary>From 1.</summary>
    public required int Epoch { get; init; }
    /// <summary>Mean cross-entropy over the training images.</summary>
    public required double Loss { get; init; }
    /// <summary>Share of training images classified right, measured while training.</summary>
    public required double Accuracy { get; init; }
    /// <summary>Mean cross-entropy over the validation images.</summary>
    public required double ValidationLoss { get; init; }
    /// <summary>Share of validation images classified right.</summary>
    public required double ValidationAccuracy { get; init; }
    /// <summary>Seconds the epoch took, validation included.</summary>
    public required double Seconds { get; init; }
    /// <summary>Training images per second, validation left out.</summary>
    public required double ImagesPerSecond { get; init; }
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
    /// <summary>The ONNX file, <c>sha256:…</c>.</summary>
    public required string OnnxArtifact { get; init; }
    /// <summary>The data set with its version.</summary>
    public required string Dataset { get; init; }
    /// <summary>Class names in the order of the model's outputs.</summary>
    public required IReadOnlyList<string> Labels { get; init; }
    /// <summary>Images trained on.</summary>
    public required int TrainImages { get; init; }
    /// <summary>Images kept apart.</summary>
    public required int ValidationImages { get; init; }
    /// <summary>Images that could not be read and were left out.</summary>
    public required CorruptItems Corrupt { get; init; }
    /// <summary>Every epoch.</summary>
    public required IReadOnlyList<EpochMetrics> History { get; init; }
    /// <summary>Share of validation images that the final model classifies right.</summary>
    public required double ValidationAccuracy { get; init; }
    /// <summary>Validation counts by true class (row) and predicted class (column), in the order of <see cref="Labels"/>.</summary>
    public required IReadOnlyList<IReadOnlyList<int>> ConfusionMatrix { get; init; }
    /// <summary>How far the ONNX model is from the trained one.</summary>
    public required ExportParity Parity { get; init; }
    /// <summary>Numbers that were learned.</summary>
    public required long Parameters { get; init; }
    /// <summary>What it was trained on, such as <c>cpu</c>.</summary>
    public required string Device { get; init; }
    /// <summary>Seconds from claim to registration.</summary>
    public required double Seconds { get; init; }
}

/// <summary>Items that could not be read.</summary>
/// <param name="Count">How many.</param>
/// <param name="Share">Their share of all items.</param>
/// <param name="Examples">Up to ten of their names.</param>
public sealed record CorruptItems(int Count, double Share, IReadOnlyList<string> Examples);

/// <summary>The comparison of the exported ONNX model, run by ONNX Runtime, with the trained module on real images.</summary>
/// <param name="Images">Images compared.</param>
/// <param name="MaxAbsolute">The greatest absolute difference of a logit.</param>
/// <param name="MaxRelative">The greatest difference relative to the larger logit (logits under 1e-3 are left out).</param>
/// <param name="SameLabel">Share of images for which both choose the same class.</param>
public sealed record ExportParity(int Images, double MaxAbsolute, double MaxRelative, double SameLabel);
