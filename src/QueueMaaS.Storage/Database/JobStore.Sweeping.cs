using Microsoft.EntityFrameworkCore;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Life;

namespace QueueMaaS.Storage.Database;

/// <summary>What time and dispatch ask of the jobs table, and the stopping of queues.</summary>
public sealed partial class JobStore : IQueueControl
{
    private const int SweepLimit = 500;

    // PostgreSQL keeps microseconds.
    private static readonly TimeSpan ShortestTime = TimeSpan.FromMicroseconds(1);

    public Task PostponeDispatchAsync(IReadOnlyList<string> ids, CancellationToken cancellationToken) => _database.WriteAsync(async context =>
    {
        var free = await RowLocks.TakeAsync(context, ids, waits: false, cancellationToken);
        return await context.Jobs.Where(job => free.Contains(job.Id) && job.State == JobState.Queued).ExecuteUpdateAsync(
            set => set.SetProperty(job => job.DispatchedAt, (DateTimeOffset?)null), cancellationToken);
    }, cancellationToken);

    public Task ForgetDispatchesAsync(CancellationToken cancellationToken) => _database.WriteAsync(
        context => ForgetAsync(context, context.Jobs.Where(job => job.State == JobState.Queued && job.DispatchedAt != null), cancellationToken), cancellationToken);

    public async Task<SweepCount> SweepAsync(IReadOnlyCollection<string> goneWorkers, CancellationToken cancellationToken)
    {
        var gone = goneWorkers.ToArray();
        // A look first: the usual sweep finds nothing and must not take the writer.
        if (!await _database.ReadAsync(async context => await new OverdueJobs(await NowAsync(context, cancellationToken), gone).Find(context, 1).AnyAsync(cancellationToken), cancellationToken))
            return new SweepCount([], 0, 0);

        var leases = 0;
        var deadlines = 0;
        await WriteAsync(async (context, changes) =>
        {
            leases = deadlines = 0;
            var overdue = new OverdueJobs(await NowAsync(context, cancellationToken), gone);
            var found = await overdue.Find(context, SweepLimit).Distinct().ToListAsync(cancellationToken);
            await RowLocks.TakeAsync(context, found, waits: true, cancellationToken);
            // Looked at again under the lock: another process may have taken them meanwhile.
            foreach (var job in (await context.Jobs.Where(job => found.Contains(job.Id)).OrderBy(job => job.DueAt).ToListAsync(cancellationToken)).Where(overdue.Includes))
            {
                if (job.State == JobState.Running)
                {
                    leases++;
                    TakeBack(changes, job, gone.Contains(job.LeaseOwner));
                }
                else if (job.Deadline <= changes.Now)
                {
                    deadlines++;
                    job.Error = Json.Write(Problem.Create(ProblemCodes.DeadlineExceeded, $"The deadline {job.Deadline:O} passed before a worker could start the job."));
                    changes.To(job, JobState.Expired, "sweeper", "its deadline passed before it ran");
                }
                else
                {
                    changes.To(job, JobState.Queued, "sweeper", job.State == JobState.Retrying ? "its wait before the next attempt is over" : "its time has come");
                }
            }

            return 0;
        }, cancellationToken);
        return new SweepCount([], leases, deadlines);
    }

    public Task<DueWindow> WindowAsync(DateTimeOffset from, int size, CancellationToken cancellationToken) => _database.ReadAsync(async context =>
    {
        var end = await context.Jobs.Where(job => job.State == JobState.Queued && job.DueAt >= from).OrderBy(job => job.DueAt).Skip(size).Select(job => (DateTimeOffset?)job.DueAt).FirstOrDefaultAsync(cancellationToken);
        // More jobs than its size may have become due at one moment: then they are the window.
        return new DueWindow(from, end == from ? from + ShortestTime : end);
    }, cancellationToken);

    public Task<IReadOnlyList<JobPointer>> TakeUndispatchedAsync(DueWindow window, TimeSpan grace, TimeSpan repeatAfter, int limit, CancellationToken cancellationToken) =>
        _database.WriteAsync<IReadOnlyList<JobPointer>>(async context =>
        {
            var now = _time.GetUtcNow();
            var lost = Undispatched(context, now, grace, repeatAfter).Where(job => job.DueAt >= window.From);
            if (window.Until is { } until)
                lost = lost.Where(job => job.DueAt < until);
            var found = await lost.OrderByDescending(job => job.Priority).ThenBy(job => job.DueAt).Take(limit).Select(job => job.Id).ToListAsync(cancellationToken);
            if (found.Count == 0)
                return [];
            var free = await RowLocks.TakeAsync(context, found, waits: false, cancellationToken);
            // Looked at again under the lock: another process may have taken them meanwhile.
            var jobs = await Undispatched(context, now, grace, repeatAfter).Where(job => free.Contains(job.Id)).ToListAsync(cancellationToken);
            var ids = jobs.Select(job => job.Id).ToArray();
            await context.Jobs.Where(job => ids.Contains(job.Id)).ExecuteUpdateAsync(
                set => set.SetProperty(job => job.DispatchedAt, now).SetProperty(job => job.Dispatches, job => job.Dispatches + 1), cancellationToken);
            return [.. jobs.Select(JobPointer.To)];
        }, cancellationToken);

    public Task<string?> NextQueuedAsync(JobKind kind, TimeSpan agePerPriority, CancellationToken cancellationToken) => _database.ReadAsync(async context =>
    {
        // The oldest of each priority; among these ten, age makes up for priority.
        var oldest = new List<JobRecord>();
        for (var priority = 0; priority <= 9; priority++)
        {
            if (await MayStart(context).Where(job => job.Kind == kind && job.Priority == priority)
                .OrderBy(job => job.DueAt).FirstOrDefaultAsync(cancellationToken) is { } job)
                oldest.Add(job);
        }

        return oldest.MinBy(job => job.DueAt - (job.Priority * agePerPriority))?.Id;
    }, cancellationToken);

    public Task<bool> AnyWaitingAsync(JobKind kind, DateTimeOffset dueBefore, CancellationToken cancellationToken) => _database.ReadAsync(
        context => MayStart(context).AnyAsync(job => job.Kind == kind && job.DueAt < dueBefore, cancellationToken), cancellationToken);

    public Task<IReadOnlyList<QueuePause>> PausesAsync(CancellationToken cancellationToken) => _database.ReadAsync<IReadOnlyList<QueuePause>>(
        async context => [.. (await context.Pauses.ToListAsync(cancellationToken)).Select(row => new QueuePause(row.Kind, row.At, row.By, row.Reason))], cancellationToken);

    public Task PauseAsync(JobKind kind, string by, string? reason, CancellationToken cancellationToken) => _database.WriteAsync(async context =>
    {
        if (!await context.Pauses.AnyAsync(row => row.Kind == kind, cancellationToken))
            context.Pauses.Add(new QueuePauseRow { Kind = kind, At = _time.GetUtcNow(), By = by, Reason = reason });
        return 0;
    }, cancellationToken);

    public Task ResumeAsync(JobKind kind, CancellationToken cancellationToken) => _database.WriteAsync(async context =>
    {
        await context.Pauses.Where(row => row.Kind == kind).ExecuteDeleteAsync(cancellationToken);
        // Workers dropped the pointers that came meanwhile.
        return await ForgetAsync(context, context.Jobs.Where(job => job.State == JobState.Queued && job.Kind == kind && job.DispatchedAt != null), cancellationToken);
    }, cancellationToken);

    private static async Task<int> ForgetAsync(QueueMaaSDbContext context, IQueryable<JobRecord> dispatched, CancellationToken cancellationToken)
    {
        await RowLocks.TakeAsync(context, await dispatched.Select(job => job.Id).ToListAsync(cancellationToken), waits: true, cancellationToken);
        return await dispatched.ExecuteUpdateAsync(set => set.SetProperty(job => job.DispatchedAt, (DateTimeOffset?)null), cancellationToken);
    }

    private static IQueryable<JobRecord> Undispatched(QueueMaaSDbContext context, DateTimeOffset now, TimeSpan grace, TimeSpan repeatAfter)
    {
        var accepted = now - grace;
        var (first, second, third, later) = (now - repeatAfter, now - (2 * repeatAfter), now - (4 * repeatAfter), now - (8 * repeatAfter));
        return MayStart(context).Where(job => (job.DispatchedAt == null && job.DueAt < accepted)
                || (job.Dispatches == 0 && job.DispatchedAt < first)
                || (job.Dispatches == 1 && job.DispatchedAt < second)
                || (job.Dispatches == 2 && job.DispatchedAt < third)
                || job.DispatchedAt < later);
    }

    /// <summary>Queued jobs that neither wait for a place of their tenant nor stand in a stopped queue.</summary>
    private static IQueryable<JobRecord> MayStart(QueueMaaSDbContext context) => context.Jobs.Where(
        job => job.State == JobState.Queued && !context.Pauses.Any(pause => pause.Kind == job.Kind) && !context.Held.Any(row => row.JobId == job.Id));

    /// <summary>The clock by which leases are told: the database's, so that no process whose own clock is wrong takes jobs from others. SQLite's processes share the machine's.</summary>
    private async Task<DateTimeOffset> NowAsync(QueueMaaSDbContext context, CancellationToken cancellationToken) => context.Database.IsNpgsql()
        ? await context.Database.SqlQuery<DateTimeOffset>($"""SELECT clock_timestamp() AS "Value" """).SingleAsync(cancellationToken)
        : _time.GetUtcNow();

    private static void TakeBack(JobChanges changes, JobRecord job, bool hasEnded)
    {
        var silent = hasEnded ? $"worker {job.LeaseOwner} ended without giving its lease back" : $"worker {job.LeaseOwner} stopped renewing its lease";
        if (job.Attempt < job.MaxAttempts)
        {
            changes.To(job, JobState.Queued, "sweeper", silent);
            return;
        }

        job.Error = Json.Write(Problem.Create(
            ProblemCodes.LeaseExpired, $"The {silent} on attempt {job.Attempt} of {job.MaxAttempts}. Its machine or process may have died; look at its log, then requeue the job.", ("attempt", job.Attempt)));
        changes.To(job, JobState.Failed, "sweeper", silent);
    }
}
