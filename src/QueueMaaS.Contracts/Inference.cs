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

/// <summary>The input of a batch job: one model, many items.</summary>
public sealed record BatchInput
{
    /// <summary>The model reference, as in <see cref="InferenceInput.Model"/>.</summary>
    public required string Model { get; init; }
    /// <summary>A data set of images: <c>name</c> or <c>name@version</c>. Its labels give accuracy and a confusion matrix. Give either this or <see cref="Artifact"/>.</summary>
    public string? Dataset { get; init; }
    /// <summary>Which part of the data set: <c>train</c>, <c>test</c> or <c>all</c>. Default <c>all</c>.</summary>
    public string? Split { get; init; }
    /// <summary>An uploaded JSONL file (<c>sha256:…</c>): one <see cref="BatchItem"/> per line.</summary>
    public string? Artifact { get; init; }
    /// <summary>Take at most this many items.</summary>
    public int? Limit { get; init; }
    /// <summary>Items per chunk message, 1 to 10,000. Default 256.</summary>
    public int? ChunkSize { get; init; }
    /// <summary>The job fails when more than this share of its items fails, 0 to 1. Default 1: item errors never fail the job.</summary>
    public double? MaxErrorShare { get; init; }
    /// <summary>Labels per item, as in <see cref="InferenceInput.TopK"/>. Default 1.</summary>
    public int? TopK { get; init; }
}

/// <summary>One line of a batch job's JSONL file.</summary>
public sealed record BatchItem
{
    /// <summary>The item's own id. Default: its line number, from 1.</summary>
    public string? Id { get; init; }
    /// <summary>Tensors without a batch axis of their own are not accepted: give shape <c>[1, …]</c> or more rows.</summary>
    public IReadOnlyList<Tensor>? Inputs { get; init; }
    /// <summary>An image instead of tensors.</summary>
    public ImageSource? Image { get; init; }
    /// <summary>A table row instead, as <see cref="InferenceInput.Row"/>.</summary>
    public JsonElement? Row { get; init; }
    /// <summary>Several rows instead.</summary>
    public IReadOnlyList<JsonElement>? Rows { get; init; }
    /// <summary>A text instead.</summary>
    public string? Text { get; init; }
    /// <summary>Several texts instead.</summary>
    public IReadOnlyList<string>? Texts { get; init; }
    /// <summary>The true label, where known; counted into the accuracy.</summary>
    public string? Label { get; init; }
}

/// <summary>How far a batch job is.</summary>
public sealed record BatchProgress(int Items, int Done, int Failed, int Chunks, int ChunksDone, double? ItemsPerSecond);

/// <summary>The result of a batch job. The files hold one JSON object per line, in input order.</summary>
public sealed record BatchOutput
{
    /// <summary>The model's name.</summary>
    public required string Model { get; init; }
    /// <summary>The version that computed it; one version for the whole job.</summary>
    public required int Version { get; init; }
    /// <summary>Items in the input.</summary>
    public required int Items { get; init; }
    /// <summary>Items with a result.</summary>
    public required int Succeeded { get; init; }
    /// <summary>Items with an error.</summary>
    public required int Failed { get; init; }
    /// <summary>The output file: <see cref="BatchItemResult"/> per line.</summary>
    public required string OutputArtifact { get; init; }
    /// <summary>The error file: <see cref="BatchItemError"/> per line; empty when nothing failed.</summary>
    public required string ErrorArtifact { get; init; }
    /// <summary>Share of labelled items whose best label was right.</summary>
    public double? Accuracy { get; init; }
    /// <summary>Counts by true label (row) and predicted label (column), in the order of <see cref="Labels"/>.</summary>
    public IReadOnlyList<IReadOnlyList<int>>? ConfusionMatrix { get; init; }
    /// <summary>The model's labels.</summary>
    public IReadOnlyList<string>? Labels { get; init; }
    /// <summary>How many batches of each size the model ran for this job.</summary>
    public IReadOnlyDictionary<int, int>? BatchSizes { get; init; }
    /// <summary>Seconds from the first chunk's start to the join.</summary>
    public required double Seconds { get; init; }
}

/// <summary>One line of a batch job's output file.</summary>
public sealed record BatchItemResult(string Id, string? Label, IReadOnlyList<IReadOnlyList<LabelScore>>? Labels, IReadOnlyList<Tensor>? Outputs)
{
    /// <summary>As <see cref="InferenceOutput.Detections"/>.</summary>
    public IReadOnlyList<IReadOnlyList<Detection>>? Detections { get; init; }
    /// <summary>As <see cref="InferenceOutput.Values"/>.</summary>
    public IReadOnlyList<IReadOnlyList<double>>? Values { get; init; }
    /// <summary>As <see cref="InferenceOutput.Embeddings"/>.</summary>
    public IReadOnlyList<IReadOnlyList<double>>? Embeddings { get; init; }
}

/// <summary>One line of a batch job's error file.</summary>
public sealed record BatchItemError(string Id, Problem Error);
