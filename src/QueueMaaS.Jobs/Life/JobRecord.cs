using System.Text.Json;
using QueueMaaS.Contracts;

namespace QueueMaaS.Jobs.Life;

/// <summary>A job's row: the truth about it. JSON documents are kept as text, exactly as they were accepted or written.</summary>
public sealed class JobRecord
{
    public required string Id { get; set; }
    public required string Tenant { get; set; }
    public required JobKind Kind { get; set; }
    public JobState State { get; set; }

    /// <summary>Number of the latest event; grows by one with every change, in the statement that makes the change.</summary>
    public long Sequence { get; set; }

    /// <summary>Attempts begun. An attempt that a shutdown interrupted is taken back.</summary>
    public int Attempt { get; set; }

    /// <summary>Grows with every claim and never falls: a write that carries an older fence is stale and refused.</summary>
    public long Fence { get; set; }

    public int MaxAttempts { get; set; }
    public int Priority { get; set; }

    /// <summary>Model reference (inference, batch) or model name (training), for listing.</summary>
    public string? Model { get; set; }

    public required string Input { get; set; }

    /// <summary>SHA-256 of what was submitted, to tell a repeat from a clash.</summary>
    public required string RequestHash { get; set; }

    public string? IdempotencyKey { get; set; }
    public string? ParentId { get; set; }
    public DateTimeOffset CreatedAt { get; set; }

    /// <summary>When it may be queued: the producer's <c>runAt</c>, later the end of a retry's backoff.</summary>
    public DateTimeOffset DueAt { get; set; }

    public DateTimeOffset? RunAt { get; set; }
    public DateTimeOffset? Deadline { get; set; }
    public DateTimeOffset? StartedAt { get; set; }
    public DateTimeOffset? FinishedAt { get; set; }
    public string? LeaseOwner { get; set; }
    public DateTimeOffset? LeaseUntil { get; set; }

    /// <summary>When its pointer was last confirmed by the broker; null while it has yet to be dispatched.</summary>
    public DateTimeOffset? DispatchedAt { get; set; }

    /// <summary>How often it was dispatched since it was last queued; spaces out repeats.</summary>
    public int Dispatches { get; set; }

    public string? Progress { get; set; }
    public string? Output { get; set; }
    public string? Error { get; set; }
    public string? Tags { get; set; }
    public string? WebhookUrl { get; set; }
    public string? WebhookSecret { get; set; }
    public bool WebhookOnStart { get; set; }
    public bool WebhookOnCompleted { get; set; }
    public string? TraceParent { get; set; }

    /// <summary>The claim that holds it now.</summary>
    public JobClaim Claim => new(Id, Fence);

    /// <summary>The job as users see it.</summary>
    public Job ToJob() => new()
    {
        Id = Id,
        Kind = Kind,
        State = State,
        Sequence = Sequence,
        Attempt = Attempt,
        MaxAttempts = MaxAttempts,
        Priority = Priority,
        Model = Model,
        Input = Parse(Input),
        CreatedAt = CreatedAt,
        StartedAt = StartedAt,
        FinishedAt = FinishedAt,
        Deadline = Deadline,
        RunAt = RunAt,
        Progress = Parse(Progress),
        Output = Parse(Output),
        Error = Error is null ? null : JsonSerializer.Deserialize<Problem>(Error, QueueMaaSJson.Relaxed),
        Tags = Tags is null ? null : JsonSerializer.Deserialize<IReadOnlyList<string>>(Tags, QueueMaaSJson.Relaxed),
    };

    private static JsonElement? Parse(string? json) => json is null ? null : JsonElement.Parse(json);
}

/// <summary>The right to write about a job: its id and the fence number taken when it was claimed.</summary>
public readonly record struct JobClaim(string Id, long Fence);

/// <summary>What the broker carries: which job, and how it is to be routed.</summary>
public readonly record struct JobPointer(string Id, JobKind Kind, int Priority);
