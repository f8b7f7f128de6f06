using QueueMaaS.Contracts;

namespace QueueMaaS.Jobs.Life;

/// <summary>
/// The jobs table. Every method that changes jobs is one transaction that also writes the event rows and the webhook
/// deliveries that follow from the change; what it returns is committed.
/// </summary>
public interface IJobStore
{
    /// <summary>Inserts a group of new jobs. A job whose id or idempotency key is known comes back as the stored one.</summary>
    Task<IReadOnlyList<AcceptOutcome>> AcceptAsync(IReadOnlyList<JobRecord> jobs, CancellationToken cancellationToken);

    Task<JobRecord?> FindAsync(string tenant, string id, CancellationToken cancellationToken);

    Task<IReadOnlyList<JobRecord>> ListAsync(JobQuery query, CancellationToken cancellationToken);

    /// <summary>How many queued jobs of the same kind and model stand before this one, by priority and age; counted up to <paramref name="most"/>.</summary>
    Task<int> CountAheadAsync(JobRecord job, int most, CancellationToken cancellationToken);

    Task<IReadOnlyList<JobRecord>> ChildrenAsync(string parentId, CancellationToken cancellationToken);

    Task<IReadOnlyList<JobEvent>> EventsAsync(string id, long afterSequence, int limit, CancellationToken cancellationToken);

    /// <summary>Claims those of the queued jobs that nobody else has, each with a new fence. Others are left out of the answer.</summary>
    Task<IReadOnlyList<JobRecord>> ClaimAsync(IReadOnlyList<string> ids, string worker, TimeSpan lease, CancellationToken cancellationToken);

    /// <summary>The queued job of this kind that is next by priority and age, for a worker that has become free.</summary>
    Task<string?> NextQueuedAsync(JobKind kind, CancellationToken cancellationToken);

    /// <summary>Prolongs leases; answers which claims still stand.</summary>
    Task<IReadOnlySet<JobClaim>> RenewAsync(IReadOnlyList<JobClaim> claims, TimeSpan lease, CancellationToken cancellationToken);

    /// <summary>Ends attempts; answers for each whether its claim still stood and so the write was taken.</summary>
    Task<IReadOnlyList<bool>> CompleteAsync(IReadOnlyList<AttemptEnd> ends, CancellationToken cancellationToken);

    /// <summary>Writes progress; false when the claim no longer stands.</summary>
    Task<bool> ReportAsync(JobClaim claim, string progress, CancellationToken cancellationToken);

    /// <summary>Cancels the job, and its unfinished children; answers the job as it now is, null if unknown.</summary>
    Task<JobRecord?> CancelAsync(string tenant, string id, string by, CancellationToken cancellationToken);

    /// <summary>Puts a failed job back in the queue, with its failed children, with their attempts counted from zero; null if unknown.</summary>
    Task<JobRecord?> RequeueAsync(string tenant, string id, string by, CancellationToken cancellationToken);

    Task MarkDispatchedAsync(IReadOnlyList<string> ids, CancellationToken cancellationToken);

    /// <summary>Hands a queued job's pointer back, to be dispatched again after a while.</summary>
    Task PostponeDispatchAsync(IReadOnlyList<string> ids, CancellationToken cancellationToken);

    /// <summary>Does what time asks for: due jobs become queued, expired leases end attempts, passed deadlines expire. Answers what changed.</summary>
    Task<SweepCount> SweepAsync(CancellationToken cancellationToken);

    /// <summary>Queued jobs that were never dispatched, or so long ago that their pointer may be lost.</summary>
    Task<IReadOnlyList<JobPointer>> FindUndispatchedAsync(TimeSpan grace, TimeSpan repeatAfter, int limit, CancellationToken cancellationToken);

    /// <summary>Forgets what was dispatched: for a bus that lives in this process and is empty at its start.</summary>
    Task ForgetDispatchesAsync(CancellationToken cancellationToken);

    Task<IReadOnlyDictionary<(JobKind Kind, JobState State), int>> CountAsync(CancellationToken cancellationToken);

    /// <summary>Event rows that have yet to be published on the bus, oldest first.</summary>
    Task<IReadOnlyList<OutgoingEvent>> UnpublishedEventsAsync(int limit, CancellationToken cancellationToken);

    Task MarkPublishedAsync(IReadOnlyList<long> rowIds, CancellationToken cancellationToken);
}

/// <summary>What became of a submission.</summary>
/// <param name="Job">The stored job.</param>
/// <param name="Kind">New, the same as before, or another body under a known id.</param>
public sealed record AcceptOutcome(JobRecord Job, AcceptKind Kind);

/// <summary>How a submission met the table.</summary>
public enum AcceptKind
{
    New,
    Duplicate,
    Conflict,
}

/// <summary>How an attempt ended.</summary>
/// <param name="Claim">Whose write this is.</param>
/// <param name="State"><c>succeeded</c>, <c>failed</c>, <c>retrying</c>, or <c>queued</c> for an attempt that a shutdown interrupted and that does not count.</param>
public sealed record AttemptEnd(JobClaim Claim, JobState State)
{
    public string? Output { get; init; }
    public Problem? Error { get; init; }
    public DateTimeOffset? RetryAt { get; init; }
    public required string Worker { get; init; }
}

/// <summary>Which jobs to list, newest first.</summary>
public sealed record JobQuery(string Tenant)
{
    public JobKind? Kind { get; init; }
    public JobState? State { get; init; }
    public string? Model { get; init; }
    public string? Tag { get; init; }

    /// <summary>Only jobs after this place in the order.</summary>
    public (DateTimeOffset CreatedAt, string Id)? After { get; init; }

    public int Limit { get; init; } = 50;
}

/// <summary>What one sweep changed.</summary>
/// <param name="Queued">Jobs that are queued now and have yet to be dispatched.</param>
/// <param name="LeasesExpired">Attempts ended because their worker fell silent.</param>
/// <param name="DeadlinesPassed">Jobs that expired.</param>
public sealed record SweepCount(IReadOnlyList<JobPointer> Queued, int LeasesExpired, int DeadlinesPassed);

/// <summary>An event row on its way to the bus.</summary>
public sealed record OutgoingEvent(long RowId, JobEvent Event);
