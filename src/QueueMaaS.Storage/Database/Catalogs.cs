using Microsoft.EntityFrameworkCore;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Catalog;

namespace QueueMaaS.Storage.Database;

/// <summary>Models with their versions and aliases, by EF Core.</summary>
public sealed class ModelCatalog(DatabaseSession database, TimeProvider time) : IModelCatalog
{
    private const string DefaultAlias = "production";

    public Task<ModelVersion?> FindAsync(string tenant, VersionReference reference, CancellationToken cancellationToken) => database.ReadAsync(async context =>
    {
        var version = reference.Version;
        if (version is null)
        {
            var alias = reference.Alias ?? DefaultAlias;
            version = await context.Aliases.Where(a => a.Tenant == tenant && a.Name == reference.Name && a.Alias == alias).Select(a => (int?)a.Version).SingleOrDefaultAsync(cancellationToken);
        }

        var row = await context.Models.SingleOrDefaultAsync(m => m.Tenant == tenant && m.Name == reference.Name && m.Version == version, cancellationToken);
        return row is null ? null : await ViewAsync(context, row, cancellationToken);
    }, cancellationToken);

    public Task<ModelVersion> RegisterAsync(string tenant, NewModelVersion version, CancellationToken cancellationToken) => database.WriteAsync(async context =>
    {
        var row = await FindMadeAsync(context, tenant, version, cancellationToken);
        if (row is null)
        {
            var latest = await context.Models.Where(m => m.Tenant == tenant && m.Name == version.Name).MaxAsync(m => (int?)m.Version, cancellationToken) ?? 0;
            row = new ModelVersionRow
            {
                Tenant = tenant,
                Name = version.Name,
                Version = latest + 1,
                Artifact = version.Artifact.Id,
                Bytes = version.Artifact.Bytes,
                Signature = Json.Write(version.Signature),
                Pipeline = Json.WriteOrNull(version.Pipeline),
                Batching = Json.Write(version.Batching),
                Card = Json.WriteOrNull(version.Card),
                TrainedBy = version.TrainedBy,
                JobAcceptedAt = version.JobAcceptedAt,
                Metrics = Json.WriteOrNull(version.Metrics),
                CreatedAt = time.GetUtcNow(),
            };
            context.Models.Add(row);
            Remember(context, tenant, version, "model.register", $"{row.Name}/{row.Version}");
            if (latest == 0 && !version.Unaliased)
                await DeployAsync(context, tenant, version, new ModelAlias(version.Name, DefaultAlias, row.Version), cancellationToken);
        }

        if (version.Alias is { } alias)
            await DeployAsync(context, tenant, version, new ModelAlias(row.Name, alias, row.Version), cancellationToken);
        await context.SaveChangesAsync(cancellationToken);
        return await ViewAsync(context, row, cancellationToken);
    }, cancellationToken);

    public Task<bool> SetAliasAsync(string tenant, ModelAlias alias, CancellationToken cancellationToken) => database.WriteAsync(async context =>
    {
        if (!await context.Models.AnyAsync(m => m.Tenant == tenant && m.Name == alias.Name && m.Version == alias.Version, cancellationToken))
            return false;
        if (await AliasMoves.PointAsync(context, tenant, alias, cancellationToken))
            await AliasMoves.CheckAsync(context, tenant, alias, cancellationToken);
        return true;
    }, cancellationToken);

    public Task<bool> RemoveAliasAsync(string tenant, string name, string alias, CancellationToken cancellationToken) => database.WriteAsync(
        async context => await context.Aliases.Where(a => a.Tenant == tenant && a.Name == name && a.Alias == alias).ExecuteDeleteAsync(cancellationToken) > 0, cancellationToken);

    public Task<IReadOnlyList<ModelAlias>> AliasesAsync(string tenant, string name, CancellationToken cancellationToken) => database.ReadAsync<IReadOnlyList<ModelAlias>>(
        async context => [.. (await context.Aliases.AsNoTracking().Where(a => a.Tenant == tenant && a.Name == name).OrderBy(a => a.Alias).ToListAsync(cancellationToken))
            .Select(a => new ModelAlias(a.Name, a.Alias, a.Version) { Share = a.Share })],
        cancellationToken);

    public Task<IReadOnlyList<ModelVersion>> ListAsync(string tenant, string? afterName, int limit, CancellationToken cancellationToken) =>
        database.ReadAsync<IReadOnlyList<ModelVersion>>(async context =>
        {
            var after = afterName ?? "";
            var latest = await context.Models.Where(m => m.Tenant == tenant && string.Compare(m.Name, after) > 0)
                .GroupBy(m => m.Name).Select(g => new { Name = g.Key, Version = g.Max(m => m.Version) }).OrderBy(g => g.Name).Take(limit).ToListAsync(cancellationToken);
            var views = new List<ModelVersion>(latest.Count);
            foreach (var entry in latest)
                views.Add(await ViewAsync(context, await context.Models.SingleAsync(m => m.Tenant == tenant && m.Name == entry.Name && m.Version == entry.Version, cancellationToken), cancellationToken));
            return views;
        }, cancellationToken);

    public Task<IReadOnlyList<ModelVersion>> VersionsAsync(string tenant, string name, int? beforeVersion, int limit, CancellationToken cancellationToken) =>
        database.ReadAsync<IReadOnlyList<ModelVersion>>(async context =>
        {
            var before = beforeVersion ?? int.MaxValue;
            var rows = await context.Models.Where(m => m.Tenant == tenant && m.Name == name && m.Version < before).OrderByDescending(m => m.Version).Take(limit).ToListAsync(cancellationToken);
            var views = new List<ModelVersion>(rows.Count);
            foreach (var row in rows)
                views.Add(await ViewAsync(context, row, cancellationToken));
            return views;
        }, cancellationToken);

    /// <summary>A training job that was taken over after it registered finds its own version again: one job, one version. Not that of a job before it that had the same id and was deleted.</summary>
    private static async Task<ModelVersionRow?> FindMadeAsync(QueueMaaSDbContext context, string tenant, NewModelVersion version, CancellationToken cancellationToken)
    {
        if (version is not { TrainedBy: { } job, JobAcceptedAt: { } accepted })
            return null;
        var made = await context.Models.AsNoTracking().Where(m => m.Tenant == tenant && m.TrainedBy == job && (m.JobAcceptedAt == accepted || m.JobAcceptedAt == null)).ToListAsync(cancellationToken);
        // Of a version without that moment, which a program of before it was kept has registered, only its own tells.
        return made.Find(row => row.JobAcceptedAt is not null || row.CreatedAt >= accepted);
    }

    private async Task DeployAsync(QueueMaaSDbContext context, string tenant, NewModelVersion version, ModelAlias alias, CancellationToken cancellationToken)
    {
        // A job that was taken over after it registered finds its alias where it put it: that was remembered then.
        if (!await AliasMoves.PointAsync(context, tenant, alias, cancellationToken))
            return;
        await AliasMoves.CheckAsync(context, tenant, alias, cancellationToken);
        Remember(context, tenant, version, "model.deploy", $"{alias.Name}/{alias.Alias}/{alias.Version}");
    }

    /// <summary>What a job does has no route that would remember it.</summary>
    private void Remember(QueueMaaSDbContext context, string tenant, NewModelVersion version, string action, string subject)
    {
        if (version.RegisteredBy is not { } actor)
            return;
        var now = time.GetUtcNow();
        context.Audit.Add(new AuditEntry(Ulid.NewUlid(now).ToString(), now, tenant, actor, action, subject, "done"));
    }

    private static async Task<ModelVersion> ViewAsync(QueueMaaSDbContext context, ModelVersionRow row, CancellationToken cancellationToken)
    {
        var aliases = await context.Aliases.AsNoTracking().Where(a => a.Tenant == row.Tenant && a.Name == row.Name && a.Version == row.Version)
            .Select(a => a.Alias).OrderBy(a => a).ToListAsync(cancellationToken);
        return row.ToVersion(aliases);
    }
}

/// <summary>Data sets with their versions, by EF Core.</summary>
public sealed class DatasetCatalog(DatabaseSession database, TimeProvider time) : IDatasetCatalog
{
    public Task<Dataset?> FindAsync(string tenant, VersionReference reference, CancellationToken cancellationToken) => database.ReadAsync(async context =>
    {
        var rows = context.Datasets.Where(d => d.Tenant == tenant && d.Name == reference.Name && reference.Alias == null);
        if (reference.Version is { } version)
            rows = rows.Where(d => d.Version == version);
        return (await rows.OrderByDescending(d => d.Version).FirstOrDefaultAsync(cancellationToken))?.ToDataset();
    }, cancellationToken);

    public Task<Dataset> RegisterAsync(string tenant, string name, Artifact artifact, DatasetCard card, CancellationToken cancellationToken) => database.WriteAsync(async context =>
    {
        var latest = await context.Datasets.AsNoTracking().Where(d => d.Tenant == tenant && d.Name == name).OrderByDescending(d => d.Version).FirstOrDefaultAsync(cancellationToken);
        if (latest?.Artifact == artifact.Id)
            return latest.ToDataset();
        var row = new DatasetRow
        {
            Tenant = tenant,
            Name = name,
            Version = (latest?.Version ?? 0) + 1,
            Artifact = artifact.Id,
            Bytes = artifact.Bytes,
            Card = Json.Write(card),
            CreatedAt = time.GetUtcNow(),
        };
        context.Datasets.Add(row);
        return row.ToDataset();
    }, cancellationToken);

    public Task<IReadOnlyList<Dataset>> ListAsync(string tenant, string? afterName, int limit, CancellationToken cancellationToken) =>
        database.ReadAsync<IReadOnlyList<Dataset>>(async context =>
        {
            var after = afterName ?? "";
            var latest = context.Datasets.Where(d => d.Tenant == tenant && string.Compare(d.Name, after) > 0)
                .GroupBy(d => d.Name).Select(g => new { Name = g.Key, Version = g.Max(d => d.Version) });
            var rows = await context.Datasets.Where(d => d.Tenant == tenant && latest.Any(l => l.Name == d.Name && l.Version == d.Version))
                .OrderBy(d => d.Name).Take(limit).ToListAsync(cancellationToken);
            return [.. rows.Select(row => row.ToDataset())];
        }, cancellationToken);
}
