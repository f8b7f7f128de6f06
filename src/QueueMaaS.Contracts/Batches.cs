using System.Text.Json;
using System.Text.Json.Serialization;

namespace QueueMaaS.Contracts;

/// <summary>The input of a batch job: one model, many items. Exactly one of <see cref="Dataset"/>, <see cref="Artifact"/>, <see cref="Url"/>, <see cref="Path"/> and <see cref="RetryOf"/> says where they are.</summary>
public sealed record BatchInput
{
    /// <summary>The model reference, as in <see cref="InferenceInput.Model"/>. Its version is pinned when the job begins. With <see cref="RetryOf"/> it may be left out: the earlier job's.</summary>
    public string? Model { get; init; }
    /// <summary>A data set of images: <c>name</c> or <c>name@version</c>. Its labels give accuracy and a confusion matrix.</summary>
    public string? Dataset { get; init; }
    /// <summary>Which part of the data set: <c>train</c>, <c>test</c>, <c>val</c> or <c>all</c>. Default <c>all</c>.</summary>
    public string? Split { get; init; }
    /// <summary>An uploaded file, <c>sha256:…</c>.</summary>
    public string? Artifact { get; init; }
    /// <summary>An http or https address (a presigned one of S3-compatible storage, for example) to fetch the file from when the job begins. Private addresses are refused unless the service allows them.</summary>
    public string? Url { get; init; }
    /// <summary>A file, or a folder of images, in the service's import folder (setting <c>Imports:Folder</c>), relative to it. It is read when the job begins; a folder is kept as a zip.</summary>
    public string? Path { get; init; }
    /// <summary>An earlier batch job, ended in whatever way, whose failed items are to be computed again, from the same input.</summary>
    public string? RetryOf { get; init; }
    /// <summary>What the file is. Default: found out from its content.</summary>
    public BatchFormat? Format { get; init; }
    /// <summary>.npz: which array. Default: the only one.</summary>
    public string? Array { get; init; }
    /// <summary>CSV and Parquet: the column with each item's id. Default: its number, from 1.</summary>
    public string? IdColumn { get; init; }
    /// <summary>CSV and Parquet: the column with the true label. Default: none.</summary>
    public string? LabelColumn { get; init; }
    /// <summary>CSV and Parquet to a model with a text pipeline: the column with the text. Default <c>text</c>.</summary>
    public string? TextColumn { get; init; }
    /// <summary>CSV and Parquet to a model without a pipeline: the columns with its numbers, in order. Default: all but those of id and label.</summary>
    public IReadOnlyList<string>? Columns { get; init; }
    /// <summary>How results are written. Default <see cref="BatchOutputFormat.Jsonl"/>.</summary>
    public BatchOutputFormat Output { get; init; }
    /// <summary>Take at most this many items.</summary>
    public int? Limit { get; init; }
    /// <summary>Items per chunk message, 1 to 1,000,000. Default: as many as take about two seconds.</summary>
    public int? ChunkSize { get; init; }
    /// <summary>Rows computed together, 1 to 1,024. Default: 256, 64 or 16, by what the model says a row costs; 1 where the model takes no batches.</summary>
    public int? BatchSize { get; init; }
    /// <summary>Most chunks handed out to workers at the same time, 1 to 1,000. Default 8.</summary>
    public int? Concurrency { get; init; }
    /// <summary>The job stops and fails once more than this share of all its items has failed, 0 to 1. Default 1: item errors never fail the job.</summary>
    public double? MaxErrorShare { get; init; }
    /// <summary>What is not done this long after the job was accepted is given up, such as <c>24h</c>, <c>90m</c> or <c>7d</c>; what is done is kept. Default: no limit.</summary>
    public string? CompletionWindow { get; init; }
    /// <summary>Labels per item, as in <see cref="InferenceInput.TopK"/>. Default 1.</summary>
    public int? TopK { get; init; }
    /// <summary>Up to 16 pairs that are given back with the job.</summary>
    public IReadOnlyDictionary<string, string>? Metadata { get; init; }
}

/// <summary>Kinds of input files.</summary>
public enum BatchFormat
{
    /// <summary>One <see cref="BatchItem"/> per line.</summary>
    Jsonl,
    /// <summary>A table in text, its columns named in the first line.</summary>
    Csv,
    /// <summary>A table in Apache Parquet.</summary>
    Parquet,
    /// <summary>A NumPy array, one item per entry of its first axis.</summary>
    Npy,
    /// <summary>An archive of NumPy arrays.</summary>
    Npz,
    /// <summary>A zip of image files. The folder that one lies in counts as its label where the model knows it.</summary>
    Images,
    /// <summary>One <see cref="OpenAiBatchLine"/> per line, as OpenAI's batch files have them.</summary>
    OpenAi,
}

/// <summary>Kinds of output files.</summary>
public enum BatchOutputFormat
{
    /// <summary>One <see cref="BatchItemResult"/> per line.</summary>
    Jsonl,
    /// <summary>A table in text: id, and label with score, or the numbers of the answer.</summary>
    Csv,
    /// <summary>The same table in Apache Parquet.</summary>
    Parquet,
    /// <summary>The first output as one NumPy array with an entry for every item of the input; that of a failed item is NaN, or 0 for whole numbers.</summary>
    Npy,
}

/// <summary>One line of a batch job's JSONL file.</summary>
public sealed record BatchItem
{
    /// <summary>The item's own id, unique in the file. Default: its line number, from 1.</summary>
    public string? Id { get; init; }
    /// <summary>The same under the name that OpenAI's files use.</summary>
    [JsonPropertyName("custom_id")]
    public string? CustomId { get; init; }
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
/// <param name="Items">Items in the input.</param>
/// <param name="Done">Items with a result or an error.</param>
/// <param name="Failed">Items with an error.</param>
/// <param name="Chunks">Chunks handed out so far.</param>
/// <param name="ChunksDone">Chunks that have ended.</param>
/// <param name="ItemsPerSecond">Over the last chunks.</param>
public sealed record BatchProgress(long Items, long Done, long Failed, int Chunks, int ChunksDone, double? ItemsPerSecond)
{
    /// <summary><c>validating</c> (the whole file is read once), <c>running</c>, <c>paused</c> or <c>joining</c>.</summary>
    public string Phase { get; init; } = "running";
    /// <summary>Until the end, at this rate.</summary>
    public double? SecondsLeft { get; init; }
}

/// <summary>The result of a batch job. The files are in input order.</summary>
public sealed record BatchOutput
{
    /// <summary>The model's name.</summary>
    public required string Model { get; init; }
    /// <summary>The version that computed it; one version for the whole job.</summary>
    public required int Version { get; init; }
    /// <summary>Items in the input.</summary>
    public required long Items { get; init; }
    /// <summary>Items with a result.</summary>
    public required long Succeeded { get; init; }
    /// <summary>Items with an error.</summary>
    public required long Failed { get; init; }
    /// <summary>True where the job ended before all items were computed, and the files hold what was done until then.</summary>
    public bool Partial { get; init; }
    /// <summary>The output file.</summary>
    public required string OutputArtifact { get; init; }
    /// <summary>The error file: <see cref="BatchItemError"/> per line; empty when nothing failed.</summary>
    public required string ErrorArtifact { get; init; }
    /// <summary>Share of labelled items whose best label was right.</summary>
    public double? Accuracy { get; init; }
    /// <summary>Counts by true label (row) and predicted label (column), in the order of <see cref="Labels"/>.</summary>
    public IReadOnlyList<IReadOnlyList<int>>? ConfusionMatrix { get; init; }
    /// <summary>The model's labels.</summary>
    public IReadOnlyList<string>? Labels { get; init; }
    /// <summary>How often each label was given as the best one.</summary>
    public IReadOnlyDictionary<string, long>? LabelCounts { get; init; }
    /// <summary>How many batches of each size the model ran for this job.</summary>
    public IReadOnlyDictionary<int, int>? BatchSizes { get; init; }
    /// <summary>Rows per batch on the mean.</summary>
    public double? MeanBatchSize { get; init; }
    /// <summary>Milliseconds of computation per batch on the mean.</summary>
    public double? MeanBatchMs { get; init; }
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
/// <param name="Id">The item's id.</param>
/// <param name="Error">What is wrong with it.</param>
public sealed record BatchItemError(string Id, Problem Error)
{
    /// <summary>Its place in the input, from 1.</summary>
    public long? Item { get; init; }
}

/// <summary>One line of a batch file as OpenAI's clients write it.</summary>
public sealed record OpenAiBatchLine
{
    /// <summary>The item's own id, unique in the file.</summary>
    public required string CustomId { get; init; }
    /// <summary><c>POST</c>.</summary>
    public required string Method { get; init; }
    /// <summary><c>/v1/inference</c> (the body is an <see cref="InferenceInput"/>) or <c>/v1/embeddings</c>.</summary>
    public required string Url { get; init; }
    /// <summary>The request.</summary>
    public required JsonElement Body { get; init; }
}
