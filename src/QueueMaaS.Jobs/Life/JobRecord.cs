using System.Text.Json;
using QueueMaaS.Contracts;

namespace QueueMaaS.Jobs.Life;

/// <summary>A job's row: the truth about it. JSON documents are kept as text, exactly as they were accepted or written.</summary>
public sealed class JobRecord
{
    /// <summary>The due time of a job that waits for others.</summary>
    public static readonly DateTimeOffset Blocked = new(9999, 1, 1, 0, 0, 0, TimeSpan.Zero);

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
    public bool WebhookOnProgress { get; set; }
    public string? TraceParent { get; set; }

    /// <summary>Holds the job's place among those that must be unique; given up when the job leaves <see cref="UniqueStates"/>.</summary>
    public string? UniqueKey { get; set; }

    /// <summary>The states in which <see cref="UniqueKey"/> is held, as <c>,Queued,Running,</c>.</summary>
    public string? UniqueStates { get; set; }

    public string? GroupId { get; set; }

    /// <summary>Other jobs wait for this one's end.</summary>
    public bool HasDependents { get; set; }

    /// <summary>1, 2, 4 …: by how much the next attempt divides its batches, after the ones before ran out of memory.</summary>
    public int BatchDivisor { get; set; } = 1;

    /// <summary>A <see cref="JobRules"/>, where the job has any.</summary>
    public string? Rules { get; set; }

    /// <summary>The input as its check has read it, where the job starts in the process that accepts it. Not stored: any other attempt reads <see cref="Input"/>.</summary>
    public object? Ready { get; set; }

    /// <summary>What else was asked for it.</summary>
    public JobRules GetRules() => Rules is null ? JobRules.None : JsonSerializer.Deserialize<JobRules>(Rules, QueueMaaSJson.Relaxed)!;

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
        After = GetRules().After,
        Group = GroupId,
        Schedule = GetRules().Schedule,
        ReplayOf = GetRules().ReplayOf,
    };

    /// <summary>The job as it was when it was accepted, of one that started at once.</summary>
    public JobRecord AsAccepted()
    {
        var accepted = Copy();
        accepted.Queue();
        return accepted;
    }

    /// <summary>Makes a record that was to start at once, and has not, that of a queued job.</summary>
    public void Queue()
    {
        (State, Sequence, Attempt, Fence, StartedAt) = (JobState.Queued, 1, 0, 0, null);
        (LeaseOwner, LeaseUntil) = (null, null);
    }

    /// <summary>A copy, to be changed without touching what others hold.</summary>
    public JobRecord Copy() => (JobRecord)MemberwiseClone();

    private static JsonElement? Parse(string? json) => json is null ? null : JsonElement.Parse(json);
}

/// <summary>The right to write about a job: its id and the fence number taken when it was claimed.</summary>
public readonly record struct JobClaim(string Id, long Fence);

/// <summary>What the broker carries: which job, and how it is to be routed.</summary>
/// <param name="Id">The job.</param>
/// <param name="Kind">Which queues.</param>
/// <param name="Priority">Which of them, and its place among its tenant's jobs.</param>
/// <param name="Tenant">Whose turn it takes.</param>
/// <param name="Model">What it will be computed with, to predict what it costs.</param>
/// <param name="Since">Since when it waits; what waits longer counts as more urgent.</param>
public readonly record struct JobPointer(string Id, JobKind Kind, int Priority, string Tenant, string? Model, DateTimeOffset Since)
{
    public static JobPointer To(JobRecord job)
    {
        ArgumentNullException.ThrowIfNull(job);
        return new(job.Id, job.Kind, job.Priority, job.Tenant, job.Model, job.DueAt);
    }
}
