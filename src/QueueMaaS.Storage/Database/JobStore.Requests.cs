using Microsoft.EntityFrameworkCore;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Life;

namespace QueueMaaS.Storage.Database;

/// <summary>What workers report and people ask for.</summary>
public sealed partial class JobStore
{
    private static readonly JobState[] Final = [.. Enum.GetValues<JobState>().Where(state => state.IsFinal())];

    public async Task<bool> ReportAsync(JobClaim claim, JobReport report, CancellationToken cancellationToken)
    {
        var changed = await WriteAsync(async (context, changes) =>
        {
            // A checkpoint of the same attempt may come at the same moment: each event has a number of its own.
            await RowLocks.TakeAsync(context, [claim.Id], waits: true, cancellationToken);
            var job = await context.Jobs.SingleOrDefaultAsync(row => row.Id == claim.Id && row.Fence == claim.Fence && row.State == JobState.Running, cancellationToken);
            if (job is not null)
                changes.Report(job, report);
            return job is not null;
        }, cancellationToken);
        return changed;
    }

    public Task<JobRecord?> CancelAsync(string tenant, string id, string by, CancellationToken cancellationToken) => WriteAsync(async (context, changes) =>
    {
        var family = context.Jobs.Where(row => row.Tenant == tenant && (row.Id == id || row.ParentId == id));
        await RowLocks.TakeAsync(context, await family.Select(row => row.Id).ToListAsync(cancellationToken), waits: true, cancellationToken);
        var rows = await family.ToListAsync(cancellationToken);
        var asked = rows.Find(row => row.Id == id);
        // What has ended otherwise stays as it is, with the trials that are held for its being requeued.
        if (asked is null || (asked.State.IsFinal() && asked.State != JobState.Cancelled))
            return asked;
        foreach (var row in rows.Where(row => row.State.CanBecome(JobState.Cancelled)))
            changes.To(row, JobState.Cancelled, by, reason: "cancelled by request");
        return asked;
    }, cancellationToken);

    public Task<JobRecord?> RequeueAsync(string tenant, string id, string by, CancellationToken cancellationToken) => WriteAsync(async (context, changes) =>
    {
        var family = context.Jobs.Where(found => found.Tenant == tenant && (found.Id == id || found.ParentId == id));
        await RowLocks.TakeAsync(context, await family.Select(found => found.Id).ToListAsync(cancellationToken), waits: true, cancellationToken);
        var row = await context.Jobs.SingleOrDefaultAsync(found => found.Tenant == tenant && found.Id == id, cancellationToken);
        if (row is not { State: JobState.Failed })
            return row;
        // A batch job that failed because of its chunks, or a sweep because of its trials, needs those again, and only those; trials that were held when it failed go on.
        foreach (var held in await context.Jobs.Where(child => child.ParentId == id && child.State == JobState.Paused).ToListAsync(cancellationToken))
            changes.To(held, JobState.Queued, by, reason: "its sweep was requeued");
        var failed = await context.Jobs.Where(child => child.ParentId == id && child.State == JobState.Failed).ToListAsync(cancellationToken);
        foreach (var job in failed.Append(row))
        {
            job.Attempt = 0;
            job.DueAt = _time.GetUtcNow();
            job.Error = null;
            job.FinishedAt = null;
            changes.To(job, JobState.Queued, by, reason: "requeued by request");
        }

        return row;
    }, cancellationToken);

    public Task<int> DeleteAsync(string tenant, IReadOnlyList<string> ids, CancellationToken cancellationToken) => _database.WriteAsync(async context =>
    {
        var found = await context.Jobs.Where(job => job.Tenant == tenant && ids.Contains(job.Id) && Final.Contains(job.State) && !context.Dependencies.Any(row => row.DependsOn == job.Id)).Select(job => job.Id).ToListAsync(cancellationToken);
        return await DeleteAsync(context, found, cancellationToken);
    }, cancellationToken);

    public Task<int> DeleteOldAsync(JobState state, DateTimeOffset endedBefore, int limit, CancellationToken cancellationToken) => _database.WriteAsync(async context =>
    {
        // What another job waits for, perhaps with this one's output as its input, stays until that has started. No job ends before it was accepted, and the index is on that moment. A batch job's chunks go with it.
        var found = await context.Jobs
            .Where(job => job.CreatedAt < endedBefore && job.State == state && job.FinishedAt < endedBefore && job.ParentId == null && !context.Dependencies.Any(row => row.DependsOn == job.Id))
            .Take(limit).Select(job => job.Id).ToListAsync(cancellationToken);
        return await DeleteAsync(context, found, cancellationToken);
    }, cancellationToken);

    private static async Task<int> DeleteAsync(QueueMaaSDbContext context, List<string> ids, CancellationToken cancellationToken)
    {
        if (ids.Count == 0)
            return 0;
        var family = await FamilyAsync(context, ids, cancellationToken);
        await RowLocks.TakeAsync(context, family, waits: true, cancellationToken);
        await context.Tries.Where(row => context.Deliveries.Any(delivery => delivery.Id == row.DeliveryId && family.Contains(delivery.JobId))).ExecuteDeleteAsync(cancellationToken);
        await context.Deliveries.Where(delivery => family.Contains(delivery.JobId)).ExecuteDeleteAsync(cancellationToken);
        await context.Events.Where(row => family.Contains(row.JobId)).ExecuteDeleteAsync(cancellationToken);
        await context.Dependencies.Where(row => family.Contains(row.JobId)).ExecuteDeleteAsync(cancellationToken);
        var ofGroups = await context.Jobs.Where(job => family.Contains(job.Id) && job.GroupId != null).Select(job => new { job.Tenant, job.GroupId }).ToListAsync(cancellationToken);
        await context.Jobs.Where(job => family.Contains(job.Id)).ExecuteDeleteAsync(cancellationToken);
        await LeaveGroupsAsync(context, ofGroups.Select(job => (job.Tenant, job.GroupId!)), cancellationToken);
        return ids.Count;
    }

    /// <summary>The jobs with their children and those of their children: the gate of a sweep's best model is two steps down.</summary>
    private static async Task<List<string>> FamilyAsync(QueueMaaSDbContext context, IReadOnlyCollection<string> ids, CancellationToken cancellationToken)
    {
        var family = ids.ToHashSet(StringComparer.Ordinal);
        for (var parents = family.ToList(); parents.Count > 0;)
        {
            var children = await context.Jobs.Where(job => job.ParentId != null && parents.Contains(job.ParentId)).Select(job => job.Id).ToListAsync(cancellationToken);
            parents = children.FindAll(family.Add);
        }

        return [.. family];
    }

    /// <summary>One transaction of tracked changes; after its commit whoever waits is told, and what follows from ends is done.</summary>
    private async Task<T> WriteAsync<T>(Func<QueueMaaSDbContext, JobChanges, Task<T>> write, CancellationToken cancellationToken)
    {
        JobChanges? changes = null;
        var result = await _database.WriteAsync(async context =>
        {
            changes = await JobChanges.BeginAsync(context, _time, cancellationToken);
            return await write(context, changes);
        }, cancellationToken);
        await TellAsync(changes!.Changed);
        await FillPlacesOfAsync(changes.Changed);
        foreach (var job in changes.Changed.Where(job => job.State == JobState.Queued && job.DispatchedAt is not null))
            _dispatch.Add(JobPointer.To(job));
        await FollowAsync(changes.Changed);
        return result;
    }
}
