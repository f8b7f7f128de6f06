using System.Text.Json;

namespace QueueMaaS.Contracts;

/// <summary>The input of an inference job. Exactly one of <see cref="Inputs"/>, <see cref="Image"/>, <see cref="Row"/>, <see cref="Rows"/>, <see cref="Text"/> and <see cref="Texts"/> is given.</summary>
public sealed record InferenceInput
{
    /// <summary><c>name</c> (its <c>production</c> alias), <c>name@3</c> (a version) or <c>name@canary</c> (an alias).</summary>
    public required string Model { get; init; }
    /// <summary>Tensors, each with the batch axis first.</summary>
    public IReadOnlyList<Tensor>? Inputs { get; init; }
    /// <summary>An image file; the model version's pipeline turns it into a tensor.</summary>
    public ImageSource? Image { get; init; }
    /// <summary>One table row: an object of column to value, or an array of values in the order of the pipeline's columns. <c>null</c> is a missing value.</summary>
    public JsonElement? Row { get; init; }
    /// <summary>Several rows, each as <see cref="Row"/>; up to 10,000. The answer has one entry for each.</summary>
    public IReadOnlyList<JsonElement>? Rows { get; init; }
    /// <summary>One text, up to 100,000 characters; the model version's pipeline makes tokens of it.</summary>
    public string? Text { get; init; }
    /// <summary>Several texts, up to 1,000. The answer has one entry for each.</summary>
    public IReadOnlyList<string>? Texts { get; init; }
    /// <summary>Names of the outputs wanted. Default: all.</summary>
    public IReadOnlyList<string>? Outputs { get; init; }
    /// <summary>How many labels to give, 1 to 100, where the model has labels. Default: the pipeline's, else 3; all over the threshold where the pipeline has one.</summary>
    public int? TopK { get; init; }
    /// <summary>Milliseconds from its arrival at the batcher within which its computation must have begun, above 0 to 3,600,000; the job's deadline holds beside it. Default: the model version's <c>defaultTimeoutMs</c>.</summary>
    public double? TimeoutMs { get; init; }
    /// <summary>What is done once that time has passed. Default: the model version's <c>timeoutAction</c>.</summary>
    public TimeoutAction? TimeoutAction { get; init; }
}

/// <summary>An encoded image (JPEG, PNG, WebP, BMP, GIF), inline or by reference. Exactly one member is given.</summary>
public sealed record ImageSource
{
    /// <summary>The file's bytes in base64.</summary>
    public string? Base64 { get; init; }
    /// <summary>An uploaded artifact, <c>sha256:…</c>.</summary>
    public string? Artifact { get; init; }
}

/// <summary>The result of an inference job.</summary>
public sealed record InferenceOutput
{
    /// <summary>The model's name.</summary>
    public required string Model { get; init; }
    /// <summary>The version that computed it.</summary>
    public required int Version { get; init; }
    /// <summary>The output tensors; left out for images, rows and texts to a model whose pipeline makes labels, detections, values or embeddings of them, unless <c>outputs</c> names them.</summary>
    public IReadOnlyList<Tensor>? Outputs { get; init; }
    /// <summary>For each row, its likeliest labels, best first.</summary>
    public IReadOnlyList<IReadOnlyList<LabelScore>>? Labels { get; init; }
    /// <summary>For each row, the objects found in its image, best first.</summary>
    public IReadOnlyList<IReadOnlyList<Detection>>? Detections { get; init; }
    /// <summary>For each row, the numbers that a regression gives.</summary>
    public IReadOnlyList<IReadOnlyList<double>>? Values { get; init; }
    /// <summary>For each row, its embedding.</summary>
    public IReadOnlyList<IReadOnlyList<double>>? Embeddings { get; init; }
    /// <summary>How it was computed.</summary>
    public required BatchReceipt Batch { get; init; }
    /// <summary>The hash of the model file that computed it, <c>sha256:…</c>.</summary>
    public string? Artifact { get; init; }
    /// <summary>The worker process that computed it.</summary>
    public string? Worker { get; init; }
    /// <summary>The attempt that gave this result.</summary>
    public int? Attempt { get; init; }
}

/// <summary>A label and its score: its probability by softmax, unless the pipeline says otherwise.</summary>
public sealed record LabelScore(string Label, double Score);

/// <summary>An object found in an image.</summary>
/// <param name="Label">Its class; left out where the pipeline has no label for it.</param>
/// <param name="Class">The class's index, from 0.</param>
/// <param name="Score">0 to 1 for most models.</param>
/// <param name="Box">Where it is.</param>
public sealed record Detection(string? Label, int Class, double Score, Box Box);

/// <summary>A rectangle in pixels of the image as it is seen (its EXIF orientation applied), within its edges. The answer to a request of tensors is in pixels of the model's input.</summary>
/// <param name="X">The left edge.</param>
/// <param name="Y">The upper edge.</param>
/// <param name="Width">Its width.</param>
/// <param name="Height">Its height.</param>
public sealed record Box(double X, double Y, double Width, double Height);

/// <summary>How the rows of a request were computed.</summary>
/// <param name="Size">Rows in the batch that it was part of.</param>
/// <param name="ClosedBecause">Why the batch was closed when it was: <c>full</c>, <c>idle</c> (an instance was free), <c>preferred</c> (its rows had come to a preferred size), <c>delay</c> (its oldest request had waited the longest allowed), <c>deadline</c> (a request would have missed its deadline by waiting longer), <c>single</c> (the model takes no batches).</param>
/// <param name="QueuedMs">Milliseconds between arrival at the batcher and the start of the computation.</param>
/// <param name="ComputeMs">Milliseconds of computation of the whole batch.</param>
public sealed record BatchReceipt(int Size, string ClosedBecause, double QueuedMs, double ComputeMs)
{
    /// <summary>True where the answer was computed for an identical request that was in flight at the same time.</summary>
    public bool Shared { get; init; }
    /// <summary>True where the answer was kept from an earlier identical request.</summary>
    public bool Cached { get; init; }
}
