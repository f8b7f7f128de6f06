using Microsoft.EntityFrameworkCore;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Life;
using QueueMaaS.Storage.Database.Pipeline;

namespace QueueMaaS.Storage.Database;

/// <summary>Jobs whose tenant may run no more at the moment: a worker that met one has put it here, and it is dispatched again when one of the tenant's jobs has left its place.</summary>
public sealed partial class JobStore
{
    private const int MostPlacesAtOnce = 256;

    public async Task FillPlacesAsync(CancellationToken cancellationToken)
    {
        var tenants = await _database.ReadAsync(context => context.Held.Select(row => row.Tenant).Distinct().ToListAsync(cancellationToken), cancellationToken);
        if (tenants.Count > 0)
            await FillPlacesAsync(tenants, cancellationToken);
    }

    /// <summary>Gives the places that these jobs have left to those that wait for them. What fails here is done by the sweeper.</summary>
    private async Task FillPlacesOfAsync(IEnumerable<JobRecord> changed)
    {
        // A job that only became queued left no place, but to look costs less than to know.
        var tenants = changed.Where(job => job.State != JobState.Running && _limits.Of(job.Tenant).MaxRunning is not null).Select(job => job.Tenant).Distinct(StringComparer.Ordinal).ToArray();
        if (tenants.Length == 0)
            return;
        try
        {
            await FillPlacesAsync(tenants, CancellationToken.None);
        }
        catch (Exception exception)
        {
            LogFollowFailed(_logger, tenants.Length, exception.Message);
        }
    }

    private async Task FillPlacesAsync(IReadOnlyCollection<string> tenants, CancellationToken cancellationToken)
    {
        var next = await _database.WriteAsync(async context =>
        {
            // Whoever claims counts under this lock too: either that claim sees the place that was left, or we see the job that it put aside.
            if (context.Database.IsNpgsql())
                await context.Database.ExecuteSqlRawAsync(PostgreSqlStatements.LockLimits, cancellationToken);
            var taken = new List<JobPointer>();
            foreach (var tenant in tenants)
                taken.AddRange(await TakeHeldAsync(context, tenant, cancellationToken));
            return taken;
        }, cancellationToken);
        foreach (var pointer in next)
            _dispatch.Add(pointer);
    }

    private async Task<List<JobPointer>> TakeHeldAsync(QueueMaaSDbContext context, string tenant, CancellationToken cancellationToken)
    {
        var room = Math.Min(MostPlacesAtOnce, await EntityPipeline.RoomAsync(context, _limits, tenant, cancellationToken));
        var taken = new List<JobPointer>();
        if (room == 0)
            return taken;
        // Of each kind, since the workers of one may have no time while those of another are idle. What comes too late is put back.
        foreach (var kind in await context.Held.Where(row => row.Tenant == tenant).Select(row => row.Kind).Distinct().ToListAsync(cancellationToken))
        {
            var left = room;
            while (left > 0)
            {
                var rows = await context.Held.AsNoTracking().Where(row => row.Tenant == tenant && row.Kind == kind).OrderBy(row => row.Rank).Take(left).ToListAsync(cancellationToken);
                if (rows.Count == 0)
                    break;
                var ids = rows.ConvertAll(row => row.JobId);
                await context.Held.Where(row => ids.Contains(row.JobId)).ExecuteDeleteAsync(cancellationToken);
                var jobs = await DispatchAsync(context, ids, cancellationToken);
                taken.AddRange(jobs);
                // The others were cancelled, or claimed by another pointer.
                left -= jobs.Count;
            }
        }

        return taken;
    }

    private async Task<List<JobPointer>> DispatchAsync(QueueMaaSDbContext context, List<string> ids, CancellationToken cancellationToken)
    {
        var now = _time.GetUtcNow();
        await RowLocks.TakeAsync(context, ids, waits: true, cancellationToken);
        var jobs = await context.Jobs.AsNoTracking().Where(job => ids.Contains(job.Id) && job.State == JobState.Queued).ToListAsync(cancellationToken);
        var queued = jobs.ConvertAll(job => job.Id);
        await context.Jobs.Where(job => queued.Contains(job.Id)).ExecuteUpdateAsync(set => set.SetProperty(job => job.DispatchedAt, now).SetProperty(job => job.Dispatches, 0), cancellationToken);
        return jobs.ConvertAll(JobPointer.To);
    }
}
