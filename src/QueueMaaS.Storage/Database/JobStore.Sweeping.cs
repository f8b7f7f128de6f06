using Microsoft.EntityFrameworkCore;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Life;

namespace QueueMaaS.Storage.Database;

/// <summary>What time, dispatch and the relay ask of the jobs table.</summary>
public sealed partial class JobStore
{
    private const int SweepLimit = 500;

    public Task MarkDispatchedAsync(IReadOnlyList<string> ids, CancellationToken cancellationToken) => database.WriteAsync(async context =>
    {
        var now = time.GetUtcNow();
        var free = await RowLocks.TakeAsync(context, ids, waits: false, cancellationToken);
        return await context.Jobs.Where(job => free.Contains(job.Id) && job.State == JobState.Queued).ExecuteUpdateAsync(
            set => set.SetProperty(job => job.DispatchedAt, now).SetProperty(job => job.Dispatches, job => job.Dispatches + 1), cancellationToken);
    }, cancellationToken);

    public Task PostponeDispatchAsync(IReadOnlyList<string> ids, CancellationToken cancellationToken) => database.WriteAsync(async context =>
    {
        var free = await RowLocks.TakeAsync(context, ids, waits: false, cancellationToken);
        return await context.Jobs.Where(job => free.Contains(job.Id) && job.State == JobState.Queued).ExecuteUpdateAsync(
            set => set.SetProperty(job => job.DispatchedAt, (DateTimeOffset?)null), cancellationToken);
    }, cancellationToken);

    public Task ForgetDispatchesAsync(CancellationToken cancellationToken) => database.WriteAsync(async context =>
    {
        var dispatched = context.Jobs.Where(job => job.State == JobState.Queued && job.DispatchedAt != null);
        await RowLocks.TakeAsync(context, await dispatched.Select(job => job.Id).ToListAsync(cancellationToken), waits: true, cancellationToken);
        return await dispatched.ExecuteUpdateAsync(set => set.SetProperty(job => job.DispatchedAt, (DateTimeOffset?)null), cancellationToken);
    }, cancellationToken);

    public async Task<SweepCount> SweepAsync(CancellationToken cancellationToken)
    {
        // A look first: the usual sweep finds nothing and must not take the writer.
        if (!await database.ReadAsync(context => Overdue(context).AnyAsync(cancellationToken), cancellationToken))
            return new SweepCount([], 0, 0);

        var changed = new List<JobRecord>();
        var leases = 0;
        var deadlines = 0;
        await database.WriteAsync(async context =>
        {
            changed.Clear();
            leases = deadlines = 0;
            var now = time.GetUtcNow();
            var overdue = await Overdue(context).OrderBy(job => job.DueAt).Take(SweepLimit).Select(job => job.Id).ToListAsync(cancellationToken);
            await RowLocks.TakeAsync(context, overdue, waits: true, cancellationToken);
            foreach (var job in await Overdue(context).Where(job => overdue.Contains(job.Id)).OrderBy(job => job.DueAt).ToListAsync(cancellationToken))
            {
                if (job.State == JobState.Running)
                {
                    leases++;
                    TakeBack(context, job);
                }
                else if (job.Deadline <= now)
                {
                    deadlines++;
                    job.Error = Json.Write(Problem.Create(ProblemCodes.DeadlineExceeded, $"The deadline {job.Deadline:O} passed before a worker could start the job."));
                    ChangeState(context, job, JobState.Expired, "sweeper", "its deadline passed before it ran");
                }
                else
                {
                    ChangeState(context, job, JobState.Queued, "sweeper", job.State == JobState.Retrying ? "its wait before the next attempt is over" : "its time has come");
                }

                changed.Add(job);
            }

            return 0;
        }, cancellationToken);
        await TellAsync(changed);
        var queued = changed.Where(job => job.State == JobState.Queued).Select(job => new JobPointer(job.Id, job.Kind, job.Priority));
        return new SweepCount([.. queued], leases, deadlines);
    }

    public Task<IReadOnlyList<JobPointer>> FindUndispatchedAsync(TimeSpan grace, TimeSpan repeatAfter, int limit, CancellationToken cancellationToken) =>
        database.ReadAsync<IReadOnlyList<JobPointer>>(async context =>
        {
            var now = time.GetUtcNow();
            var accepted = now - grace;
            var (first, second, third, later) = (now - repeatAfter, now - (2 * repeatAfter), now - (4 * repeatAfter), now - (8 * repeatAfter));
            var jobs = await context.Jobs
                .Where(job => job.State == JobState.Queued
                    && ((job.DispatchedAt == null && job.DueAt < accepted)
                        || (job.Dispatches <= 1 && job.DispatchedAt < first)
                        || (job.Dispatches == 2 && job.DispatchedAt < second)
                        || (job.Dispatches == 3 && job.DispatchedAt < third)
                        || job.DispatchedAt < later))
                .OrderByDescending(job => job.Priority).ThenBy(job => job.DueAt)
                .Take(limit)
                .Select(job => new { job.Id, job.Kind, job.Priority })
                .ToListAsync(cancellationToken);
            return [.. jobs.Select(job => new JobPointer(job.Id, job.Kind, job.Priority))];
        }, cancellationToken);

    public Task<IReadOnlyDictionary<(JobKind Kind, JobState State), int>> CountAsync(CancellationToken cancellationToken) =>
        database.ReadAsync<IReadOnlyDictionary<(JobKind Kind, JobState State), int>>(async context =>
            (await context.Jobs.Where(job => job.State == JobState.Queued || job.State == JobState.Running || job.State == JobState.Retrying || job.State == JobState.Scheduled)
                .GroupBy(job => new { job.Kind, job.State }).Select(group => new { group.Key, Count = group.Count() }).ToListAsync(cancellationToken))
            .ToDictionary(group => (group.Key.Kind, group.Key.State), group => group.Count), cancellationToken);

    public Task<IReadOnlyList<OutgoingEvent>> UnpublishedEventsAsync(int limit, CancellationToken cancellationToken) =>
        database.ReadAsync<IReadOnlyList<OutgoingEvent>>(async context =>
            [.. (await context.Events.Where(e => !e.Published).OrderBy(e => e.RowId).Take(limit).ToListAsync(cancellationToken)).Select(e => new OutgoingEvent(e.RowId, e.ToEvent()))],
            cancellationToken);

    public Task MarkPublishedAsync(IReadOnlyList<long> rowIds, CancellationToken cancellationToken) => database.WriteAsync(
        context => context.Events.Where(e => rowIds.Contains(e.RowId)).ExecuteUpdateAsync(set => set.SetProperty(e => e.Published, true), cancellationToken), cancellationToken);

    private IQueryable<JobRecord> Overdue(QueueMaaSDbContext context)
    {
        var now = time.GetUtcNow();
        return context.Jobs.Where(job =>
            (job.State == JobState.Running && job.LeaseUntil < now)
            || ((job.State == JobState.Scheduled || job.State == JobState.Retrying) && job.DueAt <= now)
            || ((job.State == JobState.Queued || job.State == JobState.Scheduled || job.State == JobState.Retrying) && job.Deadline <= now));
    }

    private void TakeBack(QueueMaaSDbContext context, JobRecord job)
    {
        var silent = $"worker {job.LeaseOwner?.Split('/')[0]} stopped renewing its lease";
        if (job.Attempt < job.MaxAttempts)
        {
            ChangeState(context, job, JobState.Queued, "sweeper", silent);
            return;
        }

        job.Error = Json.Write(Problem.Create(
            ProblemCodes.LeaseExpired, $"The {silent} on attempt {job.Attempt} of {job.MaxAttempts}. Its machine or process may have died; look at its log, then requeue the job.", ("attempt", job.Attempt)));
        ChangeState(context, job, JobState.Failed, "sweeper", silent);
    }
}
