using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Logging;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Life;
using QueueMaaS.Jobs.Notification;

namespace QueueMaaS.Storage.Database;

/// <summary>The jobs table by EF Core: what producers and workers do. (Time's own work is in JobStore.Sweeping.cs.)</summary>
public sealed partial class JobStore(
    DatabaseSession database, IJobSignals signals, IJobCache cache, TimeProvider time, ILogger<JobStore> logger) : IJobStore
{
    public async Task<IReadOnlyList<AcceptOutcome>> AcceptAsync(IReadOnlyList<JobRecord> jobs, CancellationToken cancellationToken)
    {
        var outcomes = await database.WriteAsync(async context =>
        {
            var ids = jobs.Select(job => job.Id).ToArray();
            var keys = jobs.Where(job => job.IdempotencyKey is not null).Select(job => job.IdempotencyKey).ToArray();
            var known = await context.Jobs.AsNoTracking()
                .Where(job => ids.Contains(job.Id) || (job.IdempotencyKey != null && keys.Contains(job.IdempotencyKey)))
                .ToListAsync(cancellationToken);
            var outcome = new List<AcceptOutcome>(jobs.Count);
            foreach (var job in jobs)
            {
                var earlier = known.Find(other => other.Id == job.Id
                    || (job.IdempotencyKey is not null && other.IdempotencyKey == job.IdempotencyKey && other.Tenant == job.Tenant));
                if (earlier is not null)
                {
                    var same = earlier.Tenant == job.Tenant && earlier.RequestHash == job.RequestHash;
                    outcome.Add(new AcceptOutcome(earlier, same ? AcceptKind.Duplicate : AcceptKind.Conflict));
                    continue;
                }

                job.Sequence = 0;
                context.Jobs.Add(job);
                AddEvent(context, job, job.State, by: job.ParentId is null ? "producer" : "worker", reason: null);
                known.Add(job);
                outcome.Add(new AcceptOutcome(job, AcceptKind.New));
            }

            return outcome;
        }, cancellationToken);
        await TellAsync([.. outcomes.Where(outcome => outcome.Kind == AcceptKind.New).Select(outcome => outcome.Job)]);
        return outcomes;
    }

    public async Task<JobRecord?> FindAsync(string tenant, string id, CancellationToken cancellationToken)
    {
        // Only final jobs are cached: what cannot change any more cannot be stale.
        if (await cache.FindAsync(tenant, id, cancellationToken) is { } cached)
            return cached;
        return await database.ReadAsync(context => context.Jobs.SingleOrDefaultAsync(job => job.Id == id && job.Tenant == tenant, cancellationToken), cancellationToken);
    }

    public Task<IReadOnlyList<JobRecord>> ListAsync(JobQuery query, CancellationToken cancellationToken) => database.ReadAsync<IReadOnlyList<JobRecord>>(async context =>
    {
        var jobs = context.Jobs.Where(job => job.Tenant == query.Tenant && job.ParentId == null);
        if (query.Kind is { } kind)
            jobs = jobs.Where(job => job.Kind == kind);
        if (query.State is { } state)
            jobs = jobs.Where(job => job.State == state);
        if (query.Model is { } model)
            jobs = jobs.Where(job => job.Model == model);
        if (query.Tag is { } tag)
        {
            var quoted = $"\"{tag}\"";
            jobs = jobs.Where(job => job.Tags != null && job.Tags.Contains(quoted));
        }

        if (query.After is var (createdAt, id))
            jobs = jobs.Where(job => job.CreatedAt < createdAt || (job.CreatedAt == createdAt && string.Compare(job.Id, id) < 0));
        return await jobs.OrderByDescending(job => job.CreatedAt).ThenByDescending(job => job.Id).Take(query.Limit).ToListAsync(cancellationToken);
    }, cancellationToken);

    public Task<int> CountAheadAsync(JobRecord job, int most, CancellationToken cancellationToken) => database.ReadAsync(
        context => context.Jobs
            .Where(other => other.State == JobState.Queued && other.Kind == job.Kind && other.Model == job.Model && other.Tenant == job.Tenant
                && (other.Priority > job.Priority || (other.Priority == job.Priority && other.CreatedAt < job.CreatedAt)))
            .Take(most).CountAsync(cancellationToken),
        cancellationToken);

    public Task<IReadOnlyList<JobRecord>> ChildrenAsync(string parentId, CancellationToken cancellationToken) => database.ReadAsync<IReadOnlyList<JobRecord>>(
        async context => await context.Jobs.Where(job => job.ParentId == parentId).OrderBy(job => job.Id).ToListAsync(cancellationToken), cancellationToken);

    public Task<IReadOnlyList<JobEvent>> EventsAsync(string id, long afterSequence, int limit, CancellationToken cancellationToken) => database.ReadAsync<IReadOnlyList<JobEvent>>(
        async context => [.. (await context.Events.Where(e => e.JobId == id && e.Sequence > afterSequence).OrderBy(e => e.Sequence).Take(limit).ToListAsync(cancellationToken)).Select(e => e.ToEvent())],
        cancellationToken);

    public async Task<IReadOnlyList<JobRecord>> ClaimAsync(IReadOnlyList<string> ids, string worker, TimeSpan lease, CancellationToken cancellationToken)
    {
        var claimed = await database.WriteAsync(async context =>
        {
            var now = time.GetUtcNow();
            var until = now + lease;
            // The owner is unique to this claim, so that the rows it changed can be told from all others.
            var owner = $"{worker}/{Guid.NewGuid():n}";
            await RowLocks.TakeAsync(context, ids, waits: true, cancellationToken);
            var changed = await context.Jobs
                .Where(job => ids.Contains(job.Id) && job.State == JobState.Queued && (job.Deadline == null || job.Deadline > now))
                .ExecuteUpdateAsync(set => set
                    .SetProperty(job => job.State, JobState.Running)
                    .SetProperty(job => job.Sequence, job => job.Sequence + 1)
                    .SetProperty(job => job.Attempt, job => job.Attempt + 1)
                    .SetProperty(job => job.Fence, job => job.Fence + 1)
                    .SetProperty(job => job.StartedAt, now)
                    .SetProperty(job => job.LeaseOwner, owner)
                    .SetProperty(job => job.LeaseUntil, until), cancellationToken);
            if (changed == 0)
                return [];
            var jobs = await context.Jobs.AsNoTracking().Where(job => ids.Contains(job.Id) && job.LeaseOwner == owner).ToListAsync(cancellationToken);
            foreach (var job in jobs)
                AddEventRow(context, job, job.State, worker, reason: null);
            return jobs;
        }, cancellationToken);
        await TellAsync(claimed);
        return claimed;
    }

    public Task<string?> NextQueuedAsync(JobKind kind, CancellationToken cancellationToken) => database.ReadAsync(
        context => context.Jobs.Where(job => job.State == JobState.Queued && job.Kind == kind)
            .OrderByDescending(job => job.Priority).ThenBy(job => job.DueAt).Select(job => job.Id).FirstOrDefaultAsync(cancellationToken),
        cancellationToken);

    public Task<IReadOnlySet<JobClaim>> RenewAsync(IReadOnlyList<JobClaim> claims, TimeSpan lease, CancellationToken cancellationToken) =>
        database.WriteAsync<IReadOnlySet<JobClaim>>(async context =>
        {
            var asked = claims.ToHashSet();
            var ids = claims.Select(claim => claim.Id).ToArray();
            await RowLocks.TakeAsync(context, ids, waits: true, cancellationToken);
            var running = await context.Jobs.AsNoTracking().Where(job => ids.Contains(job.Id) && job.State == JobState.Running)
                .Select(job => new { job.Id, job.Fence }).ToListAsync(cancellationToken);
            var standing = running.Select(job => new JobClaim(job.Id, job.Fence)).Where(asked.Contains).ToHashSet();
            var renewed = standing.Select(claim => claim.Id).ToArray();
            var until = time.GetUtcNow() + lease;
            await context.Jobs.Where(job => renewed.Contains(job.Id) && job.State == JobState.Running)
                .ExecuteUpdateAsync(set => set.SetProperty(job => job.LeaseUntil, until), cancellationToken);
            return standing;
        }, cancellationToken);

    public async Task<IReadOnlyList<bool>> CompleteAsync(IReadOnlyList<AttemptEnd> ends, CancellationToken cancellationToken)
    {
        var changed = new List<JobRecord>();
        var taken = await database.WriteAsync<IReadOnlyList<bool>>(async context =>
        {
            changed.Clear();
            var ids = ends.Select(end => end.Claim.Id).ToArray();
            await RowLocks.TakeAsync(context, ids, waits: true, cancellationToken);
            var rows = await context.Jobs.Where(job => ids.Contains(job.Id)).ToDictionaryAsync(job => job.Id, cancellationToken);
            var result = new bool[ends.Count];
            for (var i = 0; i < ends.Count; i++)
            {
                if (!rows.TryGetValue(ends[i].Claim.Id, out var job) || job.State != JobState.Running || job.Fence != ends[i].Claim.Fence)
                    continue;
                EndAttempt(context, job, ends[i]);
                changed.Add(job);
                result[i] = true;
            }

            return result;
        }, cancellationToken);
        await TellAsync(changed);
        return taken;
    }

    public async Task<bool> ReportAsync(JobClaim claim, string progress, CancellationToken cancellationToken)
    {
        var reported = await database.WriteAsync(async context =>
        {
            var job = await context.Jobs.SingleOrDefaultAsync(row => row.Id == claim.Id && row.Fence == claim.Fence && row.State == JobState.Running, cancellationToken);
            if (job is null)
                return null;
            job.Progress = progress;
            job.Sequence++;
            context.Events.Add(new JobEventRow
            {
                JobId = job.Id,
                Sequence = job.Sequence,
                Type = "progress",
                At = time.GetUtcNow(),
                Attempt = job.Attempt,
                Data = progress,
                Published = job.Kind == JobKind.Chunk,
            });
            return job;
        }, cancellationToken);
        if (reported is not null)
            await TellAsync([reported]);
        return reported is not null;
    }

    public async Task<JobRecord?> CancelAsync(string tenant, string id, string by, CancellationToken cancellationToken)
    {
        var changed = new List<JobRecord>();
        var job = await database.WriteAsync(async context =>
        {
            changed.Clear();
            var family = context.Jobs.Where(row => row.Tenant == tenant && (row.Id == id || row.ParentId == id));
            await RowLocks.TakeAsync(context, await family.Select(row => row.Id).ToListAsync(cancellationToken), waits: true, cancellationToken);
            var rows = await family.ToListAsync(cancellationToken);
            foreach (var row in rows.Where(row => row.State.CanBecome(JobState.Cancelled)))
            {
                ChangeState(context, row, JobState.Cancelled, by, reason: "cancelled by request");
                changed.Add(row);
            }

            return rows.Find(row => row.Id == id);
        }, cancellationToken);
        await TellAsync(changed);
        return job;
    }

    public async Task<JobRecord?> RequeueAsync(string tenant, string id, string by, CancellationToken cancellationToken)
    {
        var changed = new List<JobRecord>();
        var job = await database.WriteAsync(async context =>
        {
            changed.Clear();
            var family = context.Jobs.Where(found => found.Tenant == tenant && (found.Id == id || found.ParentId == id));
            await RowLocks.TakeAsync(context, await family.Select(found => found.Id).ToListAsync(cancellationToken), waits: true, cancellationToken);
            var row = await context.Jobs.SingleOrDefaultAsync(found => found.Tenant == tenant && found.Id == id, cancellationToken);
            if (row is not { State: JobState.Failed })
                return row;
            // A batch job that failed because of its chunks needs those again, and only those.
            changed.AddRange(await context.Jobs.Where(child => child.ParentId == id && child.State == JobState.Failed).ToListAsync(cancellationToken));
            changed.Add(row);
            foreach (var failed in changed)
            {
                failed.Attempt = 0;
                failed.Error = null;
                failed.FinishedAt = null;
                ChangeState(context, failed, JobState.Queued, by, reason: "requeued by request");
            }

            return row;
        }, cancellationToken);
        await TellAsync(changed);
        return job;
    }

    private void EndAttempt(QueueMaaSDbContext context, JobRecord job, AttemptEnd end)
    {
        job.Error = end.Error is null ? null : Json.Write(end.Error);
        if (end.State == JobState.Succeeded)
            job.Output = end.Output;
        if (end.RetryAt is { } retryAt)
            job.DueAt = retryAt;
        if (end.State == JobState.Queued)
            job.Attempt--;
        var reason = end.State == JobState.Queued ? "handed back by a worker that is shutting down" : end.Error?.Message;
        ChangeState(context, job, end.State, end.Worker, reason);
    }

    /// <summary>The one place where a tracked job changes its state.</summary>
    private void ChangeState(QueueMaaSDbContext context, JobRecord job, JobState to, string by, string? reason)
    {
        if (!job.State.CanBecome(to))
            throw new InvalidOperationException($"Job {job.Id} cannot go from {job.State} to {to}.");
        var now = time.GetUtcNow();
        job.State = to;
        job.LeaseOwner = null;
        job.LeaseUntil = null;
        if (to == JobState.Queued)
        {
            job.DueAt = now;
            job.DispatchedAt = null;
            job.Dispatches = 0;
        }

        if (to.IsFinal())
            job.FinishedAt = now;
        AddEvent(context, job, to, by, reason);
    }

    private void AddEvent(QueueMaaSDbContext context, JobRecord job, JobState state, string by, string? reason)
    {
        job.Sequence++;
        AddEventRow(context, job, state, by, reason);
    }

    private void AddEventRow(QueueMaaSDbContext context, JobRecord job, JobState state, string by, string? reason)
    {
        var now = time.GetUtcNow();
        context.Events.Add(new JobEventRow
        {
            JobId = job.Id,
            Sequence = job.Sequence,
            Type = state.ToString().ToLowerInvariant(),
            At = now,
            Attempt = job.Attempt,
            By = by,
            Reason = reason,
            // A batch job's chunks are its own affair: they are kept in the history, but not announced.
            Published = job.Kind == JobKind.Chunk,
        });
        var type = state == JobState.Running && job.WebhookOnStart ? "job.started" : state.IsFinal() && job.WebhookOnCompleted ? "job.completed" : null;
        if (type is null || job.WebhookUrl is null)
            return;
        context.Deliveries.Add(new WebhookDelivery
        {
            Id = $"msg_{Ulid.NewUlid(now)}",
            Tenant = job.Tenant,
            JobId = job.Id,
            Type = type,
            Kind = job.Kind,
            JobState = state,
            Sequence = job.Sequence,
            Attempt = job.Attempt,
            Error = state.IsFinal() ? job.Error : null,
            Url = job.WebhookUrl,
            Secret = job.WebhookSecret,
            CreatedAt = now,
            NextTryAt = now,
        });
    }

    /// <summary>Wakes whoever waits, after the commit. A cache or signal that is down costs speed only, so it never fails the change.</summary>
    private async Task TellAsync(IReadOnlyList<JobRecord> changed)
    {
        if (changed.Count == 0)
            return;
        try
        {
            await cache.PutAsync(changed, CancellationToken.None);
            await signals.PublishAsync([.. changed.Select(job => new JobChange(job.Id, job.State, job.Sequence))], CancellationToken.None);
        }
        catch (Exception exception)
        {
            LogTellFailed(logger, changed.Count, exception.Message);
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "Could not signal {Count} changes ({Reason}); waiters will find them by looking")]
    private static partial void LogTellFailed(ILogger logger, int count, string reason);
}
