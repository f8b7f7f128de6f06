using Microsoft.EntityFrameworkCore;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Life;

namespace QueueMaaS.Storage.Database;

/// <summary>Pauses of single jobs, and events that a worker adds to its job's history.</summary>
public sealed partial class JobStore
{
    public Task<bool> RecordAsync(JobClaim claim, JobReport report, CancellationToken cancellationToken) => WriteAsync(async (context, changes) =>
    {
        // Reports of the same attempt may come at the same moment: each event has a number of its own.
        await RowLocks.TakeAsync(context, [claim.Id], waits: true, cancellationToken);
        var job = await context.Jobs.SingleOrDefaultAsync(
            row => row.Id == claim.Id && row.Fence == claim.Fence && (row.State == JobState.Running || row.State == JobState.Paused), cancellationToken);
        if (job is not null)
            changes.Report(job, report);
        return job is not null;
    }, cancellationToken);

    public Task<bool> RecordOnChildrenAsync(JobClaim claim, IReadOnlyDictionary<string, JobReport> reports, CancellationToken cancellationToken) => WriteAsync(async (context, changes) =>
    {
        await RowLocks.TakeAsync(context, [claim.Id, .. reports.Keys], waits: true, cancellationToken);
        if (!await context.Jobs.AnyAsync(row => row.Id == claim.Id && row.Fence == claim.Fence && row.State == JobState.Running, cancellationToken))
            return false;
        foreach (var child in await context.Jobs.Where(row => row.ParentId == claim.Id && reports.Keys.Contains(row.Id) && Final.Contains(row.State)).ToListAsync(cancellationToken))
            changes.Report(child, reports[child.Id]);
        return true;
    }, cancellationToken);

    public Task<IReadOnlyList<JobEvent>> EventsOfTypeAsync(string id, string type, CancellationToken cancellationToken) => _database.ReadAsync<IReadOnlyList<JobEvent>>(
        async context => [.. (await context.Events.Where(e => e.JobId == id && e.Type == type).OrderBy(e => e.Sequence).ToListAsync(cancellationToken)).Select(e => e.ToEvent())],
        cancellationToken);

    public Task<JobRecord?> PauseAsync(string tenant, string id, string by, CancellationToken cancellationToken) =>
        HoldAsync(tenant, id, static (_, _) => JobState.Paused, by, "paused by request", static job =>
        {
            // Only a training can store where it stands, and a batch job or a sweep stands in its children; what else runs is soon over.
            if (job.State == JobState.Running && job.Kind is not (JobKind.Training or JobKind.Batch or JobKind.Sweep))
                return false;
            // A pause costs no attempt.
            if (job.State == JobState.Running)
                job.Attempt--;
            return job.State.CanBecome(JobState.Paused);
        }, cancellationToken);

    public Task<JobRecord?> ResumeAsync(string tenant, string id, string by, CancellationToken cancellationToken) =>
        // What it waited for before, a time, another job or the end of its backoff, it waits for still.
        HoldAsync(tenant, id, static (job, now) => job.DueAt > now ? JobState.Scheduled : JobState.Queued, by, "resumed by request", static job => job.State == JobState.Paused, cancellationToken);

    private Task<JobRecord?> HoldAsync(string tenant, string id, Func<JobRecord, DateTimeOffset, JobState> to, string by, string reason, Func<JobRecord, bool> allows, CancellationToken cancellationToken) => WriteAsync(async (context, changes) =>
    {
        var family = context.Jobs.Where(found => found.Tenant == tenant && (found.Id == id || found.ParentId == id));
        await RowLocks.TakeAsync(context, await family.Select(found => found.Id).ToListAsync(cancellationToken), waits: true, cancellationToken);
        var row = await context.Jobs.SingleOrDefaultAsync(found => found.Tenant == tenant && found.Id == id, cancellationToken);
        if (row is null || !allows(row))
            return row;
        changes.To(row, to(row, changes.Now), by, reason);
        // A sweep's trials may take hours: they are held, and go on, with it. A batch job's chunks are soon over.
        if (row.Kind == JobKind.Sweep)
        {
            foreach (var trial in (await context.Jobs.Where(child => child.ParentId == id).ToListAsync(cancellationToken)).Where(child => !child.State.IsFinal() && allows(child)))
                changes.To(trial, to(trial, changes.Now), by, $"{reason}, with its sweep");
        }

        return row;
    }, cancellationToken);
}
