using System.Text.Json;

namespace QueueMaaS.Contracts;

/// <summary>What a job does.</summary>
public enum JobKind
{
    /// <summary>One request to a model: tensors or an image in, tensors or labels out.</summary>
    Inference,
    /// <summary>Train a model on a data set, export it to ONNX, check and register it.</summary>
    Training,
    /// <summary>Run a model over many items; split into chunks and joined again in order.</summary>
    Batch,
    /// <summary>A part of a batch job. Made by the service, never by a producer.</summary>
    Chunk,
}

/// <summary>Where a job is in its life. <c>succeeded</c>, <c>failed</c>, <c>cancelled</c> and <c>expired</c> are final.</summary>
public enum JobState
{
    /// <summary>Accepted, to be queued at its <c>runAt</c>.</summary>
    Scheduled,
    /// <summary>Waiting for a worker.</summary>
    Queued,
    /// <summary>A worker holds its lease.</summary>
    Running,
    /// <summary>An attempt failed; the next one waits for its backoff.</summary>
    Retrying,
    /// <summary>Done, with a result.</summary>
    Succeeded,
    /// <summary>Ended with an error; in the dead-letter list.</summary>
    Failed,
    /// <summary>Ended by request.</summary>
    Cancelled,
    /// <summary>Its deadline passed before it ran.</summary>
    Expired,
}

/// <summary>A job as a producer hands it in, over HTTP (<c>POST /v1/jobs</c>) or over the bus (exchange <c>queuemaas.submit</c>).</summary>
public sealed record JobSubmission
{
    /// <summary>The producer's own id: 1 to 64 of letters, digits, <c>- _ . :</c>. A repeat of the same id and body is the same job. Made by the service (a ULID) when left out.</summary>
    public string? Id { get; init; }

    /// <summary>What to do.</summary>
    public required JobKind Kind { get; init; }

    /// <summary>The work itself: an <see cref="InferenceInput"/>, <see cref="TrainingInput"/> or <see cref="BatchInput"/>, by <see cref="Kind"/>.</summary>
    public required JsonElement Input { get; init; }

    /// <summary>0 (lowest) to 9 (highest); default 5.</summary>
    public int? Priority { get; init; }

    /// <summary>How often to try in all, 1 to 20. Default by kind: 3.</summary>
    public int? MaxAttempts { get; init; }

    /// <summary>Not to be started after this moment; the job then ends <c>expired</c>.</summary>
    public DateTimeOffset? Deadline { get; init; }

    /// <summary>Not to be started before this moment.</summary>
    public DateTimeOffset? RunAt { get; init; }

    /// <summary>Up to 16 short words to find the job by, each up to 64 characters.</summary>
    public IReadOnlyList<string>? Tags { get; init; }

    /// <summary>Where to send signed notifications.</summary>
    public WebhookTarget? Webhook { get; init; }
}

/// <summary>Where and when to notify about one job.</summary>
public sealed record WebhookTarget
{
    /// <summary>An http or https address. Private, loopback and link-local addresses are refused unless the service is configured to allow them.</summary>
    public required string Url { get; init; }

    /// <summary>The signing secret, <c>whsec_</c> + base64 of 24 to 64 bytes (Standard Webhooks). Default: the service's configured secret.</summary>
    public string? Secret { get; init; }

    /// <summary>Which events to send. Default: both.</summary>
    public IReadOnlyList<WebhookEvent>? Events { get; init; }
}

/// <summary>What a webhook can be told about.</summary>
public enum WebhookEvent
{
    /// <summary>A worker began the job.</summary>
    Start,
    /// <summary>The job reached a final state.</summary>
    Completed,
}

/// <summary>A job as the service shows it.</summary>
public sealed record Job
{
    /// <summary>The job's id.</summary>
    public required string Id { get; init; }
    /// <summary>What it does.</summary>
    public required JobKind Kind { get; init; }
    /// <summary>Where it is in its life.</summary>
    public required JobState State { get; init; }
    /// <summary>The number of its latest event; grows with every change.</summary>
    public required long Sequence { get; init; }
    /// <summary>Attempts begun so far.</summary>
    public required int Attempt { get; init; }
    /// <summary>Attempts allowed.</summary>
    public required int MaxAttempts { get; init; }
    /// <summary>0 to 9.</summary>
    public required int Priority { get; init; }
    /// <summary>The model reference it uses or the model name it trains.</summary>
    public string? Model { get; init; }
    /// <summary>What it was asked to do.</summary>
    public JsonElement? Input { get; init; }
    /// <summary>When it was accepted.</summary>
    public required DateTimeOffset CreatedAt { get; init; }
    /// <summary>When its latest attempt began.</summary>
    public DateTimeOffset? StartedAt { get; init; }
    /// <summary>When it reached a final state.</summary>
    public DateTimeOffset? FinishedAt { get; init; }
    /// <summary>When a queued inference job will probably start, from what waits before it and what its model's batches take; left out while no worker has measured them.</summary>
    public DateTimeOffset? ExpectedStart { get; init; }
    /// <summary>When a queued or running inference job will probably have its answer.</summary>
    public DateTimeOffset? ExpectedFinish { get; init; }
    /// <summary>Not to be started after this moment.</summary>
    public DateTimeOffset? Deadline { get; init; }
    /// <summary>Not to be started before this moment.</summary>
    public DateTimeOffset? RunAt { get; init; }
    /// <summary>The latest report of the worker: for training a <see cref="TrainingProgress"/>, for batch a <see cref="BatchProgress"/>.</summary>
    public JsonElement? Progress { get; init; }
    /// <summary>The result, once succeeded: an <see cref="InferenceOutput"/>, <see cref="TrainingOutput"/> or <see cref="BatchOutput"/>.</summary>
    public JsonElement? Output { get; init; }
    /// <summary>Why it failed, or why the latest attempt did.</summary>
    public Problem? Error { get; init; }
    /// <summary>The words given with it.</summary>
    public IReadOnlyList<string>? Tags { get; init; }
}

/// <summary>One line of a job's history.</summary>
public sealed record JobEvent
{
    /// <summary>The job.</summary>
    public required string JobId { get; init; }
    /// <summary>1, 2, 3 … within the job; the id of the server-sent event.</summary>
    public required long Sequence { get; init; }
    /// <summary><c>queued</c>, <c>running</c>, <c>progress</c>, <c>retrying</c>, <c>succeeded</c>, <c>failed</c>, <c>cancelled</c>, <c>expired</c>, <c>scheduled</c>.</summary>
    public required string Type { get; init; }
    /// <summary>When.</summary>
    public required DateTimeOffset At { get; init; }
    /// <summary>The attempt it belongs to; 0 before the first.</summary>
    public required int Attempt { get; init; }
    /// <summary>Who caused it: a worker's name, <c>producer</c>, <c>sweeper</c>, <c>user</c>.</summary>
    public string? By { get; init; }
    /// <summary>Why, in words.</summary>
    public string? Reason { get; init; }
    /// <summary>Progress of the work, for <c>progress</c> events.</summary>
    public JsonElement? Data { get; init; }
}

/// <summary>One page of a list.</summary>
/// <param name="Items">The items, newest first.</param>
/// <param name="NextCursor">Give this as <c>cursor</c> for the next page; absent on the last one.</param>
public sealed record Page<T>(IReadOnlyList<T> Items, string? NextCursor);
