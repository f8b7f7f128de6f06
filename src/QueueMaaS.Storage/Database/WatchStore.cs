using Microsoft.EntityFrameworkCore;
using QueueMaaS.Jobs.Deployment;

namespace QueueMaaS.Storage.Database;

/// <summary>Watches and counts, by EF Core.</summary>
internal sealed class WatchStore(DatabaseSession database, TimeProvider time) : IWatchStore
{
    public Task<bool> AddAsync(ModelWatch watch, CancellationToken cancellationToken) => database.WriteAsync(context => AddAsync(context, watch, cancellationToken), cancellationToken);

    /// <summary>Within a transaction.</summary>
    public static async Task<bool> AddAsync(QueueMaaSDbContext context, ModelWatch watch, CancellationToken cancellationToken)
    {
        if (watch.OpenKey is { } key && await context.Watches.AnyAsync(row => row.Tenant == watch.Tenant && row.OpenKey == key, cancellationToken))
            return false;
        context.Watches.Add(watch);
        return true;
    }

    public Task<bool> ChangeAsync(ModelWatch watch, CancellationToken cancellationToken, WatchEvent? news = null) => database.WriteAsync(async context =>
    {
        var now = time.GetUtcNow();
        if (await ChangeAsync(context, watch, now, cancellationToken) == 0)
            return false;
        if (news is not null)
            await ModelEvents.AddAsync(context, watch.Tenant, watch.Name, news.Type, news.Data, now, cancellationToken);
        return true;
    }, cancellationToken);

    /// <summary>Within a transaction; 0 where the watch has changed since it was read.</summary>
    public static Task<int> ChangeAsync(QueueMaaSDbContext context, ModelWatch watch, DateTimeOffset now, CancellationToken cancellationToken) =>
        context.Watches.Where(row => row.Id == watch.Id && row.Sequence == watch.Sequence).ExecuteUpdateAsync(
            set => set.SetProperty(row => row.Standing, watch.Standing).SetProperty(row => row.Definition, watch.Definition).SetProperty(row => row.OpenKey, watch.OpenKey)
                .SetProperty(row => row.EndedAt, watch.EndedAt).SetProperty(row => row.ChangedAt, now).SetProperty(row => row.Sequence, row => row.Sequence + 1),
            cancellationToken);

    public Task<ModelWatch?> FindAsync(string tenant, string id, CancellationToken cancellationToken) =>
        database.ReadAsync(context => context.Watches.SingleOrDefaultAsync(row => row.Tenant == tenant && row.Id == id, cancellationToken), cancellationToken);

    public Task<ModelWatch?> FindOpenAsync(string tenant, string openKey, CancellationToken cancellationToken) =>
        database.ReadAsync(context => context.Watches.SingleOrDefaultAsync(row => row.Tenant == tenant && row.OpenKey == openKey, cancellationToken), cancellationToken);

    public Task<IReadOnlyList<ModelWatch>> OpenAsync(CancellationToken cancellationToken) => database.ReadAsync<IReadOnlyList<ModelWatch>>(
        async context => await context.Watches.Where(row => row.EndedAt == null).OrderBy(row => row.Id).ToListAsync(cancellationToken), cancellationToken);

    public Task<IReadOnlyList<ModelWatch>> ListAsync(string tenant, WatchKind kind, string name, string? before, int limit, CancellationToken cancellationToken) => database.ReadAsync<IReadOnlyList<ModelWatch>>(
        async context => await context.Watches.Where(row => row.Tenant == tenant && row.Kind == kind && row.Name == name && (before == null || string.Compare(row.Id, before) < 0))
            .OrderByDescending(row => row.Id).Take(limit).ToListAsync(cancellationToken),
        cancellationToken);

    public Task PutAsync(IReadOnlyList<TrafficSummary> summaries, CancellationToken cancellationToken) => database.WriteAsync(async context =>
    {
        // A worker writes its own rows only, so nobody waits for anybody.
        foreach (var summary in summaries)
        {
            var changed = await context.Summaries.Where(row => row.WatchId == summary.WatchId && row.Part == summary.Part && row.Worker == summary.Worker)
                .ExecuteUpdateAsync(set => set.SetProperty(row => row.Data, summary.Data).SetProperty(row => row.ChangedAt, summary.ChangedAt), cancellationToken);
            if (changed == 0)
                context.Summaries.Add(summary);
        }

        return summaries.Count;
    }, cancellationToken);

    public Task<IReadOnlyList<TrafficSummary>> SummariesAsync(string watchId, CancellationToken cancellationToken) => database.ReadAsync<IReadOnlyList<TrafficSummary>>(
        async context => await context.Summaries.Where(row => row.WatchId == watchId).ToListAsync(cancellationToken), cancellationToken);

    public Task<int> RemoveOldAsync(string watchId, DateTimeOffset before, CancellationToken cancellationToken) => database.WriteAsync(
        context => context.Summaries.Where(row => row.WatchId == watchId && row.ChangedAt < before).ExecuteDeleteAsync(cancellationToken), cancellationToken);

    public Task<int> RemoveOrphansAsync(DateTimeOffset before, CancellationToken cancellationToken) => database.WriteAsync(
        context => context.Summaries.Where(row => row.ChangedAt < before && !context.Watches.Any(watch => watch.Id == row.WatchId && watch.EndedAt == null)).ExecuteDeleteAsync(cancellationToken), cancellationToken);
}
