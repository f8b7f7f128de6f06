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
    /// <summary>Train one specification with many settings, as child jobs, and register the best.</summary>
    Sweep,
    /// <summary>Measure how well a registered model answers a data set whose truth is known.</summary>
    Evaluation,
    /// <summary>Point an alias at a model version if a declared gate holds.</summary>
    Promotion,
    /// <summary>Summarise what a model version takes and gives on a data set, and watch whether what it serves stays like it.</summary>
    Baseline,
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
    /// <summary>Held by request; a training has stored its state. Goes on when resumed.</summary>
    Paused,
}

/// <summary>A job as a producer hands it in, over HTTP (<c>POST /v1/jobs</c>) or over the bus (exchange <c>queuemaas.submit</c>).</summary>
public sealed record JobSubmission
{
    /// <summary>The producer's own id: 1 to 64 of letters, digits, <c>- _ . :</c>. A repeat of the same id and body is the same job. Made by the service (a ULID) when left out.</summary>
    public string? Id { get; init; }

    /// <summary>What to do.</summary>
    public required JobKind Kind { get; init; }

    /// <summary>The work itself: an <see cref="InferenceInput"/>, <see cref="TrainingInput"/>, <see cref="BatchInput"/>, <see cref="SweepInput"/>, <see cref="EvaluationInput"/> <see cref="PromotionInput"/> or <see cref="BaselineInput"/>, by <see cref="Kind"/>.</summary>
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

    /// <summary>Not to be started before this many seconds from its acceptance; instead of <see cref="RunAt"/>.</summary>
    public double? DelaySeconds { get; init; }

    /// <summary>An attempt that takes longer is stopped and counts as failed with <c>attempt_timeout</c>. Default by kind: none.</summary>
    public double? TimeoutSeconds { get; init; }

    /// <summary>When and how to try again. Default by kind.</summary>
    public RetryPolicy? Retry { get; init; }

    /// <summary>At most one such job at a time.</summary>
    public UniqueRule? Unique { get; init; }

    /// <summary>Ids of up to 64 jobs that must succeed before this one starts. Where one of them ends otherwise, this one is cancelled.
    /// Anywhere in <see cref="Input"/>, <c>{"$output":"JOB_ID","path":"/a/0"}</c> stands for that job's output, or the part of it that the JSON pointer names.</summary>
    public IReadOnlyList<string>? After { get; init; }

    /// <summary>The group it belongs to (POST /v1/groups makes one with its jobs).</summary>
    public GroupMembership? Group { get; init; }
}

/// <summary>When and how a failed attempt is followed by another.</summary>
public sealed record RetryPolicy
{
    /// <summary>The first retry waits a random time of at most this many seconds, each further one at most twice as long as the one before.</summary>
    public double? BaseSeconds { get; init; }

    /// <summary>No retry waits longer.</summary>
    public double? MaxSeconds { get; init; }

    /// <summary>Which kinds of failure are tried again. Default: <c>transient</c>, <c>outOfMemory</c> and <c>timeout</c>.</summary>
    public IReadOnlyList<FailureClass>? On { get; init; }
}

/// <summary>Kinds of failure, by what can help.</summary>
public enum FailureClass
{
    /// <summary>A part was unreachable or broke: the same work may succeed later.</summary>
    Transient,
    /// <summary>Memory ran out: the same work is tried again in batches of half the size.</summary>
    OutOfMemory,
    /// <summary>The attempt took longer than allowed.</summary>
    Timeout,
    /// <summary>The input or the model is at fault: the same work fails again.</summary>
    Deterministic,
}

/// <summary>What makes a job the same as another.</summary>
public sealed record UniqueRule
{
    /// <summary>What must be unique, up to 255 characters. Default: the kind and the input.</summary>
    public string? Key { get; init; }

    /// <summary>Jobs accepted in different periods of this many seconds (counted from 1970) are not the same. Default: no periods.</summary>
    public double? PeriodSeconds { get; init; }

    /// <summary>In which states an earlier job keeps others away. Default: <c>scheduled</c>, <c>queued</c>, <c>running</c>, <c>retrying</c>.</summary>
    public IReadOnlyList<JobState>? States { get; init; }
}

/// <summary>A job's place in a group.</summary>
/// <param name="Id">The group's id, of the same form as a job's.</param>
/// <param name="Size">How many jobs the group has in all, 1 to 100,000; the same in each. When so many have ended, the group has completed.</param>
public sealed record GroupMembership(string Id, int Size);

/// <summary>A group of jobs with one completion event.</summary>
public sealed record JobGroup
{
    /// <summary>The group's id.</summary>
    public required string Id { get; init; }
    /// <summary>How many jobs it has in all.</summary>
    public required int Size { get; init; }
    /// <summary>How many of its jobs had ended and have been deleted since.</summary>
    public int Deleted { get; init; }
    /// <summary>How many of its other jobs are in each state.</summary>
    public required IReadOnlyDictionary<JobState, int> Counts { get; init; }
    /// <summary>When its first job was accepted.</summary>
    public required DateTimeOffset CreatedAt { get; init; }
    /// <summary>When its last job ended.</summary>
    public DateTimeOffset? CompletedAt { get; init; }
}

/// <summary>Where and when to notify about one job.</summary>
public sealed record WebhookTarget
{
    /// <summary>An http or https address. Private, loopback and link-local addresses are refused unless the service is configured to allow them.</summary>
    public required string Url { get; init; }

    /// <summary>The signing secret, <c>whsec_</c> + base64 of 24 to 64 bytes (Standard Webhooks). Default: the service's configured secret.</summary>
    public string? Secret { get; init; }

    /// <summary>Which events to send. Default: <c>start</c> and <c>completed</c>.</summary>
    public IReadOnlyList<WebhookEvent>? Events { get; init; }
}

/// <summary>What a webhook can be told about.</summary>
public enum WebhookEvent
{
    /// <summary>A worker began the job.</summary>
    Start,
    /// <summary>The job reached a final state.</summary>
    Completed,
    /// <summary>Its progress, at most twice a second.</summary>
    Progress,
    /// <summary>Lines of its log, at most twice a second; lines that came between are in the job's history.</summary>
    Logs,
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
    /// <summary>The latest report of the worker: for training a <see cref="TrainingProgress"/>, for batch a <see cref="BatchProgress"/>, for sweep a <see cref="SweepProgress"/>, for evaluation an <see cref="EvaluationProgress"/>.</summary>
    public JsonElement? Progress { get; init; }
    /// <summary>The result, once succeeded: an <see cref="InferenceOutput"/>, <see cref="TrainingOutput"/> (for a sweep's trial a <see cref="TrialOutput"/>), <see cref="BatchOutput"/>, <see cref="SweepOutput"/> or <see cref="EvaluationOutput"/>.</summary>
    public JsonElement? Output { get; init; }
    /// <summary>Why it failed, or why the latest attempt did.</summary>
    public Problem? Error { get; init; }
    /// <summary>The words given with it.</summary>
    public IReadOnlyList<string>? Tags { get; init; }
    /// <summary>The jobs that must succeed before it starts.</summary>
    public IReadOnlyList<string>? After { get; init; }
    /// <summary>The group it belongs to.</summary>
    public string? Group { get; init; }
    /// <summary>The schedule that made it.</summary>
    public string? Schedule { get; init; }
    /// <summary>The dead letter that it replays with another input.</summary>
    public string? ReplayOf { get; init; }
}

/// <summary>One line of a job's history.</summary>
public sealed record JobEvent
{
    /// <summary>The job.</summary>
    public required string JobId { get; init; }
    /// <summary>1, 2, 3 … within the job; the id of the server-sent event.</summary>
    public required long Sequence { get; init; }
    /// <summary><c>queued</c>, <c>running</c>, <c>progress</c>, <c>retrying</c>, <c>succeeded</c>, <c>failed</c>, <c>cancelled</c>, <c>expired</c>, <c>scheduled</c>, <c>log</c>, <c>metrics</c>, <c>paused</c>, <c>checkpoint</c>, <c>decision</c>.</summary>
    public required string Type { get; init; }
    /// <summary>When.</summary>
    public required DateTimeOffset At { get; init; }
    /// <summary>The attempt it belongs to; 0 before the first.</summary>
    public required int Attempt { get; init; }
    /// <summary>Who caused it: a worker's name, <c>producer</c>, <c>sweeper</c>, <c>user</c>.</summary>
    public string? By { get; init; }
    /// <summary>Why, in words.</summary>
    public string? Reason { get; init; }
    /// <summary>What the worker reports: progress, a log line (<c>level</c>, <c>text</c>) or numbers by name.</summary>
    public JsonElement? Data { get; init; }
}

/// <summary>One page of a list.</summary>
/// <param name="Items">The items, newest first.</param>
/// <param name="NextCursor">Give this as <c>cursor</c> for the next page; absent on the last one.</param>
public sealed record Page<T>(IReadOnlyList<T> Items, string? NextCursor);
