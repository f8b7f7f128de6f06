using QueueMaaS.Contracts;

namespace QueueMaaS.Jobs.Life;

/// <summary>
/// The jobs table. Every method that changes jobs is one transaction that also writes the event rows and the webhook
/// deliveries that follow from the change; what it returns is committed.
/// </summary>
public interface IJobStore : IJobEvents
{
    /// <summary>
    /// Inserts a group of new jobs, marked as dispatched: the caller dispatches what is queued. A record that is given as running, with its first claim, is stored as one that was
    /// queued and claimed, and is its worker's to run; where its kind is paused it comes back queued. A job whose id, idempotency key or unique key is known comes back as the stored one.
    /// </summary>
    Task<IReadOnlyList<AcceptOutcome>> AcceptAsync(IReadOnlyList<JobRecord> jobs, CancellationToken cancellationToken);

    /// <summary>Inserts jobs that belong together, in one transaction: all of them or none. Those that are known come back as the stored ones.</summary>
    /// <returns>One outcome for each, in an order in which each stands behind those that it waits for.</returns>
    /// <exception cref="ProblemException">One of them clashes with a known job, waits for one that is not there or that waits for it, or finds no room in its group.</exception>
    Task<IReadOnlyList<AcceptOutcome>> AcceptTogetherAsync(IReadOnlyList<JobRecord> jobs, CancellationToken cancellationToken);

    Task<JobRecord?> FindAsync(string tenant, string id, CancellationToken cancellationToken);

    Task<IReadOnlyList<JobRecord>> ListAsync(JobQuery query, CancellationToken cancellationToken);

    /// <summary>How many queued jobs of the same kind and model stand before this one, by priority and age; counted up to <paramref name="most"/>.</summary>
    Task<int> CountAheadAsync(JobRecord job, int most, CancellationToken cancellationToken);

    Task<IReadOnlyList<JobRecord>> ChildrenAsync(string parentId, CancellationToken cancellationToken);

    Task<IReadOnlyList<JobEvent>> EventsAsync(string id, long afterSequence, int limit, CancellationToken cancellationToken);

    /// <summary>Claims those of the queued jobs that nobody else has and that may start now, each with a new fence. Others are left out of the answer.</summary>
    Task<IReadOnlyList<JobRecord>> ClaimAsync(IReadOnlyList<string> ids, string worker, TimeSpan lease, CancellationToken cancellationToken);

    /// <summary>The queued job of this kind that is next by priority and age, for a worker that has become free.</summary>
    /// <param name="kind">Of which kind.</param>
    /// <param name="agePerPriority">A job that has waited this much longer stands equal to one of the next higher priority.</param>
    /// <param name="cancellationToken">Gives up.</param>
    Task<string?> NextQueuedAsync(JobKind kind, TimeSpan agePerPriority, CancellationToken cancellationToken);

    /// <summary>Prolongs leases; answers which claims still stand.</summary>
    Task<IReadOnlySet<JobClaim>> RenewAsync(IReadOnlyList<JobClaim> claims, TimeSpan lease, CancellationToken cancellationToken);

    /// <summary>Ends attempts; answers for each whether its claim still stood and so the write was taken.</summary>
    Task<IReadOnlyList<bool>> CompleteAsync(IReadOnlyList<AttemptEnd> ends, CancellationToken cancellationToken);

    /// <summary>Writes what a worker reports; false when the claim no longer stands.</summary>
    Task<bool> ReportAsync(JobClaim claim, JobReport report, CancellationToken cancellationToken);

    /// <summary>Adds an event to the job's history, such as a stored checkpoint; false when the claim no longer stands. A paused job's last claim may still add some until it is resumed.</summary>
    Task<bool> RecordAsync(JobClaim claim, JobReport report, CancellationToken cancellationToken);

    /// <summary>Adds events to the histories of a running job's ended children, by their ids; false when the job's claim no longer stands. Children that have not ended are left out.</summary>
    Task<bool> RecordOnChildrenAsync(JobClaim claim, IReadOnlyDictionary<string, JobReport> reports, CancellationToken cancellationToken);

    /// <summary>Holds a job that waits, or a training that runs; answers the job as it now is, null if unknown.</summary>
    Task<JobRecord?> PauseAsync(string tenant, string id, string by, CancellationToken cancellationToken);

    /// <summary>Queues a paused job again; answers the job as it now is, null if unknown.</summary>
    Task<JobRecord?> ResumeAsync(string tenant, string id, string by, CancellationToken cancellationToken);

    /// <summary>Cancels the job, and its unfinished children; answers the job as it now is, null if unknown. Where it has ended otherwise, nothing changes.</summary>
    Task<JobRecord?> CancelAsync(string tenant, string id, string by, CancellationToken cancellationToken);

    /// <summary>Puts a failed job back in the queue, with its failed children, with their attempts counted from zero; null if unknown.</summary>
    Task<JobRecord?> RequeueAsync(string tenant, string id, string by, CancellationToken cancellationToken);

    /// <summary>Deletes ended jobs with their children, events and deliveries; answers how many of them there were. Jobs that have not ended stay, and those that others wait for.</summary>
    Task<int> DeleteAsync(string tenant, IReadOnlyList<string> ids, CancellationToken cancellationToken);

    /// <summary>Deletes up to <paramref name="limit"/> ended jobs of this state that ended before a moment; answers how many it found.</summary>
    Task<int> DeleteOldAsync(JobState state, DateTimeOffset endedBefore, int limit, CancellationToken cancellationToken);

    /// <summary>Hands queued jobs' pointers back, to be dispatched again after a while.</summary>
    Task PostponeDispatchAsync(IReadOnlyList<string> ids, CancellationToken cancellationToken);

    /// <summary>Does what time asks for: due jobs become queued, expired leases and those of workers that have ended end attempts, passed deadlines expire. Answers what changed.</summary>
    Task<SweepCount> SweepAsync(IReadOnlyCollection<string> goneWorkers, CancellationToken cancellationToken);

    /// <summary>Does again what a process that died may have left undone after a job's end: jobs that waited for it, groups it was the last of.</summary>
    Task FollowUpAsync(CancellationToken cancellationToken);

    /// <summary>Dispatches jobs that wait for a place among those that their tenant may run, as far as there are places: after an end that no process followed up, or another setting.</summary>
    Task FillPlacesAsync(CancellationToken cancellationToken);

    /// <summary>The times at which about <paramref name="size"/> queued jobs became due, from one on: so that looking through all that wait is done in steps of one size, however many there are.</summary>
    Task<DueWindow> WindowAsync(DateTimeOffset from, int size, CancellationToken cancellationToken);

    /// <summary>Takes queued jobs that were never dispatched, or so long ago that their pointer may be lost, for being dispatched again: no other process gets them too.</summary>
    Task<IReadOnlyList<JobPointer>> TakeUndispatchedAsync(DueWindow window, TimeSpan grace, TimeSpan repeatAfter, int limit, CancellationToken cancellationToken);

    /// <summary>Whether a job of this kind waits for a worker that was due before a moment: none that waits for a place of its tenant, or stands in a stopped queue.</summary>
    Task<bool> AnyWaitingAsync(JobKind kind, DateTimeOffset dueBefore, CancellationToken cancellationToken);

    /// <summary>Those of the jobs that still wait for a worker.</summary>
    Task<IReadOnlySet<string>> StillQueuedAsync(IReadOnlyCollection<string> ids, CancellationToken cancellationToken);

    /// <summary>Forgets what was dispatched: for a bus that lives in this process and is empty at its start.</summary>
    Task ForgetDispatchesAsync(CancellationToken cancellationToken);

    Task<IReadOnlyDictionary<(JobKind Kind, JobState State), int>> CountAsync(CancellationToken cancellationToken);

    /// <summary>What is queued now, added up by kind, tenant and model.</summary>
    Task<IReadOnlyList<JobBacklog>> BacklogAsync(CancellationToken cancellationToken);

    /// <summary>How many jobs of the tenant wait: scheduled, queued or retrying; counted up to <paramref name="most"/>.</summary>
    Task<int> CountWaitingAsync(string tenant, int most, CancellationToken cancellationToken);

    /// <summary>The group with its counts; null if unknown.</summary>
    Task<JobGroup?> FindGroupAsync(string tenant, string id, CancellationToken cancellationToken);
}

/// <summary>Queued jobs that share kind, tenant and model.</summary>
/// <param name="Kind">Their kind.</param>
/// <param name="Tenant">Whose they are.</param>
/// <param name="Model">The model they name; null where they name none.</param>
/// <param name="Count">How many.</param>
/// <param name="OldestDueAt">When the one that waits for longest was due.</param>
public sealed record JobBacklog(JobKind Kind, string Tenant, string? Model, int Count, DateTimeOffset OldestDueAt);

/// <summary>Queues, by kind, that can be stopped and let go on.</summary>
public interface IQueueControl
{
    /// <summary>The stopped queues.</summary>
    Task<IReadOnlyList<QueuePause>> PausesAsync(CancellationToken cancellationToken);

    /// <summary>From now on no job of the kind starts; those that run go on.</summary>
    Task PauseAsync(JobKind kind, string by, string? reason, CancellationToken cancellationToken);

    /// <summary>Lets the queue go on; its jobs are dispatched again within two sweeps.</summary>
    Task ResumeAsync(JobKind kind, CancellationToken cancellationToken);
}

/// <summary>A stopped queue.</summary>
public sealed record QueuePause(JobKind Kind, DateTimeOffset At, string By, string? Reason);

/// <summary>Publishes what happened, in the order of the table and at least once.</summary>
public interface IEventOutbox
{
    /// <summary>Reads events that have yet to be published, has them published, and remembers how far that went. Answers how many; null while another process does it.</summary>
    Task<int?> RelayAsync(int limit, Func<IReadOnlyList<JobEvent>, CancellationToken, Task> publish, CancellationToken cancellationToken);
}

/// <summary>What happened to jobs.</summary>
public interface IJobEvents
{
    /// <summary>The job's events of one type, oldest first.</summary>
    Task<IReadOnlyList<JobEvent>> EventsOfTypeAsync(string id, string type, CancellationToken cancellationToken);
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
/// <param name="Job">The job as it was claimed.</param>
/// <param name="State"><c>succeeded</c>, <c>failed</c>, <c>retrying</c>, or <c>queued</c> for an attempt that a shutdown interrupted and that does not count.</param>
public sealed record AttemptEnd(JobRecord Job, JobState State)
{
    public string? Output { get; init; }
    public Problem? Error { get; init; }
    public DateTimeOffset? RetryAt { get; init; }

    /// <summary>What the next attempt divides its batches by, where that changes.</summary>
    public int? BatchDivisor { get; init; }

    public required string Worker { get; init; }

    /// <summary>Whose write this is.</summary>
    public JobClaim Claim => Job.Claim;

    /// <summary>Why it ended so, for the history.</summary>
    public string? Reason => State == JobState.Queued ? "handed back by a worker that is shutting down" : Error?.Message;
}

/// <summary>What a worker tells about a running job.</summary>
/// <param name="Type"><c>progress</c>, <c>log</c> or <c>metrics</c>.</param>
/// <param name="Data">JSON.</param>
/// <param name="Announce">Whether webhooks are told too.</param>
public sealed record JobReport(string Type, string Data, bool Announce)
{
    public const string Progress = "progress";
    public const string Log = "log";
    public const string Metrics = "metrics";
}

/// <summary>Which jobs to list, newest first.</summary>
public sealed record JobQuery(string Tenant)
{
    public JobKind? Kind { get; init; }
    public JobState? State { get; init; }
    public string? Model { get; init; }
    public string? Tag { get; init; }
    public string? Group { get; init; }

    /// <summary>Only jobs whose error has this code.</summary>
    public string? Code { get; init; }

    /// <summary>Only jobs accepted at this moment or later.</summary>
    public DateTimeOffset? From { get; init; }

    /// <summary>Only jobs accepted before this moment.</summary>
    public DateTimeOffset? Until { get; init; }

    /// <summary>Only jobs after this place in the order.</summary>
    public (DateTimeOffset CreatedAt, string Id)? After { get; init; }

    public int Limit { get; init; } = 50;
}

/// <summary>What one sweep changed.</summary>
/// <param name="Queued">Jobs that are queued now, for the caller to dispatch.</param>
/// <param name="LeasesExpired">Attempts ended because their worker fell silent.</param>
/// <param name="DeadlinesPassed">Jobs that expired.</param>
public sealed record SweepCount(IReadOnlyList<JobPointer> Queued, int LeasesExpired, int DeadlinesPassed);

/// <summary>Jobs that became due from one moment until before another.</summary>
/// <param name="From">The first of them.</param>
/// <param name="Until">Before this; null: to the last.</param>
public sealed record DueWindow(DateTimeOffset From, DateTimeOffset? Until);
