using System.Text.Json;

namespace QueueMaaS.Contracts;

/// <summary>A version of a model. Versions never change; aliases move.</summary>
public sealed record ModelVersion
{
    /// <summary>The model's name.</summary>
    public required string Name { get; init; }
    /// <summary>1, 2, 3 … within the name.</summary>
    public required int Version { get; init; }
    /// <summary>The ONNX file, <c>sha256:…</c>.</summary>
    public required string Artifact { get; init; }
    /// <summary>Its size in bytes.</summary>
    public required long Bytes { get; init; }
    /// <summary>What it takes and gives.</summary>
    public required ModelSignature Signature { get; init; }
    /// <summary>How an image, a row or a text becomes tensors, and tensors become labels, boxes or values.</summary>
    public ModelPipeline? Pipeline { get; init; }
    /// <summary>Limits of its batches.</summary>
    public required BatchingSettings Batching { get; init; }
    /// <summary>What was found out about it when it was registered, and where it comes from.</summary>
    public ModelCard? Card { get; init; }
    /// <summary>The aliases that point at it.</summary>
    public required IReadOnlyList<string> Aliases { get; init; }
    /// <summary>The training job that made it, if one did.</summary>
    public string? TrainedBy { get; init; }
    /// <summary>Figures such as <c>validationAccuracy</c>.</summary>
    public IReadOnlyDictionary<string, double>? Metrics { get; init; }
    /// <summary>When it was registered.</summary>
    public required DateTimeOffset CreatedAt { get; init; }
}

/// <summary>What is known of a model version beside its signature.</summary>
public sealed record ModelCard
{
    /// <summary>For people.</summary>
    public string? Description { get; init; }
    /// <summary>Whether its rows can be computed together.</summary>
    public BatchCheck? Batch { get; init; }
    /// <summary>Whether requests can be padded along <c>batching.ragged</c>; left out where the version has none.</summary>
    public BatchCheck? Padding { get; init; }
    /// <summary>Whether it runs in a process of its own; left out where it was trained here.</summary>
    public IsolationCheck? Isolation { get; init; }
    /// <summary>The data set that it was trained on, <c>name@version</c>.</summary>
    public string? Dataset { get; init; }
    /// <summary>The parameters that it was trained with.</summary>
    public JsonElement? Parameters { get; init; }
    /// <summary>Its weights as a safetensors file, <c>sha256:…</c>, where it was trained here: what <c>startFrom</c> begins with.</summary>
    public string? Weights { get; init; }
}

/// <summary>What an upload may say about a model version: the field <c>card</c> of the multipart form.</summary>
public sealed record UploadedCard
{
    /// <summary>For people, up to 10,000 characters.</summary>
    public string? Description { get; init; }
    /// <summary>The data set that it was trained on, up to 200 characters.</summary>
    public string? Dataset { get; init; }
    /// <summary>The parameters that it was trained with, any JSON.</summary>
    public JsonElement? Parameters { get; init; }
    /// <summary>Figures such as <c>validationAccuracy</c>, up to 100.</summary>
    public IReadOnlyDictionary<string, double>? Metrics { get; init; }
}

/// <summary>Whether a model gives a row the same answer in every batch: tried at registration with made-up rows, alone and in batches of several sizes and orders.</summary>
/// <param name="Batched">True where requests are put together. False: each is computed by itself, because the model takes no batches or its rows influence each other.</param>
/// <param name="Reason">What was found, in a sentence.</param>
/// <param name="MaxDeviation">The greatest difference between a row alone and the same row in a batch, relative to values over 1 and absolute below; null where it could not be tried.</param>
/// <param name="Sizes">The batch sizes tried.</param>
public sealed record BatchCheck(bool Batched, string Reason, double? MaxDeviation = null, IReadOnlyList<int>? Sizes = null);

/// <summary>Whether a model could take more than its share of a worker: looked at when it is uploaded.</summary>
/// <param name="Isolated">True where it runs in a process of its own, with limits on its memory and time (unless <c>Inference:Isolation</c> says otherwise).</param>
/// <param name="Reason">What was found, in a sentence.</param>
/// <param name="BytesPerRow">About what a row of a batch takes beside the weights, as seen with made-up rows; null where that could not be seen.</param>
public sealed record IsolationCheck(bool Isolated, string Reason, long? BytesPerRow = null);

/// <summary>What is done with a request whose timeout has passed before its computation began.</summary>
public enum TimeoutAction
{
    /// <summary>It fails with <c>deadline_exceeded</c>.</summary>
    Reject,
    /// <summary>It is computed all the same, after those that are in time.</summary>
    RunLate,
}

/// <summary>The dynamic batcher's settings for one model version.</summary>
/// <param name="MaxBatchSize">Most rows computed together, 1 to 1,024. Default 32; 1 where the model's batch axis is fixed.</param>
/// <param name="MaxQueueDelayMs">How long a request may wait for batch-mates while an instance is idle, 0 to 60,000. Default 0: an idle instance starts at once.</param>
public sealed record BatchingSettings(int MaxBatchSize = 32, double MaxQueueDelayMs = 0)
{
    /// <summary>Sizes at which a batch is closed at once though it might grow, each from 1 to <see cref="MaxBatchSize"/>: those the model computes well. Default: none but the largest.</summary>
    public IReadOnlyList<int>? PreferredBatchSizes { get; init; }
    /// <summary>Most rows queued, 1 to 10,000,000. Default: the worker's <c>Inference:MaxQueueRows</c>.</summary>
    public int? MaxQueueRows { get; init; }
    /// <summary>Batches computed at the same time, 1 to 64. Default: the worker's <c>Inference:Instances</c>.</summary>
    public int? Instances { get; init; }
    /// <summary>Threads that share one computation, 1 to 1,024. Default: the worker's <c>Inference:IntraOpThreads</c>.</summary>
    public int? IntraOpThreads { get; init; }
    /// <summary>Requests without a deadline of their own get this timeout, counted from their arrival at the batcher, above 0 to 3,600,000. Default: none.</summary>
    public double? DefaultTimeoutMs { get; init; }
    /// <summary>What is done with a request whose timeout has passed. Default <see cref="Contracts.TimeoutAction.Reject"/>.</summary>
    public TimeoutAction TimeoutAction { get; init; }
    /// <summary>True: answers are given in the order in which the requests came, whatever their priority, lane or instance. Default false.</summary>
    public bool PreserveOrdering { get; init; }
    /// <summary>Choose the batch size and delay from measured latency, so that 99 % of the requests take no longer than this, 0.1 to 60,000. <see cref="MaxBatchSize"/> stays the upper limit. Default: off.</summary>
    public double? LatencyTargetMs { get; init; }
    /// <summary>True: an answer with NaN or infinite numbers fails its request with <c>model_execution_failed</c>. Default false.</summary>
    public bool RejectNonFinite { get; init; }
    /// <summary>True: batch although the check at registration found that rows influence each other. Default false.</summary>
    public bool IgnoreBatchCheck { get; init; }
    /// <summary>An axis beside the first whose length differs from request to request; with it, requests of different lengths share batches. Default: only requests of equal shapes do.</summary>
    public RaggedAxis? Ragged { get; init; }
    /// <summary>True: identical requests in flight share one computation. Default false.</summary>
    public bool ShareIdentical { get; init; }
    /// <summary>How long an answer is kept for identical requests, 0 to 86,400. Default 0: not at all.</summary>
    public double CacheSeconds { get; init; }
}

/// <summary>
/// An axis whose length differs from request to request, such as the tokens of a text. Each request is padded to the next of <see cref="Lengths"/>, so that those that come near each other share a batch,
/// and its outputs are cut back. Whether padding changes answers is tried at registration; where it does, nothing is padded and the card says why.
/// </summary>
public sealed record RaggedAxis
{
    /// <summary>The inputs that have it; all are equally long in one request.</summary>
    public required IReadOnlyList<RaggedInput> Inputs { get; init; }
    /// <summary>The lengths that are padded to, ascending, 1 to 64 of them, each 1 to 1,000,000. A longer request is not padded.</summary>
    public required IReadOnlyList<int> Lengths { get; init; }
    /// <summary>The input that is 1 where there is a value and 0 where there is padding. A request may leave it out. Default: the model has none.</summary>
    public RaggedInput? Mask { get; init; }
    /// <summary>The outputs that have the axis and are cut back to the request's own length. Default: none.</summary>
    public IReadOnlyList<RaggedOutput>? Outputs { get; init; }
}

/// <summary>An input with the ragged axis.</summary>
/// <param name="Name">The input.</param>
/// <param name="Axis">Which of its axes, from 1. Default 1.</param>
/// <param name="PadWith">What stands in the padding of a numeric input. Default 0.</param>
public sealed record RaggedInput(string Name, int Axis = 1, double PadWith = 0);

/// <summary>An output with the ragged axis.</summary>
/// <param name="Name">The output.</param>
/// <param name="Axis">Which of its axes, from 1. Default 1.</param>
public sealed record RaggedOutput(string Name, int Axis = 1);

/// <summary>A version of a data set.</summary>
public sealed record Dataset
{
    /// <summary>The data set's name.</summary>
    public required string Name { get; init; }
    /// <summary>1, 2, 3 … within the name.</summary>
    public required int Version { get; init; }
    /// <summary>The archive, <c>sha256:…</c>.</summary>
    public required string Artifact { get; init; }
    /// <summary>Its size in bytes.</summary>
    public required long Bytes { get; init; }
    /// <summary>What is in it.</summary>
    public required DatasetCard Card { get; init; }
    /// <summary>When it was registered.</summary>
    public required DateTimeOffset CreatedAt { get; init; }
}

/// <summary>A file in the artifact store, named by the hash of its content.</summary>
/// <param name="Id"><c>sha256:</c> and 64 hexadecimal digits.</param>
/// <param name="Bytes">Its size.</param>
public sealed record Artifact(string Id, long Bytes);

/// <summary>Where an alias points.</summary>
/// <param name="Name">The model's name.</param>
/// <param name="Alias">The alias.</param>
/// <param name="Version">The version it points at.</param>
public sealed record ModelAlias(string Name, string Alias, int Version)
{
    /// <summary>The share of the requests that name the model alone (no version, no alias) which goes to this alias' version instead of to <c>production</c>, over 0 to 1. Default: none.</summary>
    public double? Share { get; init; }
}
