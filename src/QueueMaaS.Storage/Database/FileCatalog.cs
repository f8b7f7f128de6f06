using Microsoft.EntityFrameworkCore;
using QueueMaaS.Jobs.Catalog;

namespace QueueMaaS.Storage.Database;

/// <summary>Files with names, by EF Core.</summary>
internal sealed class FileCatalog(DatabaseSession database) : IFileCatalog
{
    public Task AddAsync(string tenant, StoredFile file, CancellationToken cancellationToken) => database.WriteAsync(async context =>
    {
        if (!await context.Files.AnyAsync(row => row.Tenant == tenant && row.Id == file.Id, cancellationToken))
            context.Files.Add(new FileRow { Tenant = tenant, Id = file.Id, Name = file.Name, Purpose = file.Purpose, Artifact = file.Artifact, Bytes = file.Bytes, CreatedAt = file.CreatedAt });
        return 0;
    }, cancellationToken);

    public Task<StoredFile?> FindAsync(string tenant, string id, CancellationToken cancellationToken) => database.ReadAsync(
        async context => (await context.Files.SingleOrDefaultAsync(row => row.Tenant == tenant && row.Id == id, cancellationToken))?.ToFile(), cancellationToken);

    public Task<IReadOnlyList<StoredFile>> ListAsync(string tenant, string? purpose, string? after, int limit, CancellationToken cancellationToken) =>
        database.ReadAsync<IReadOnlyList<StoredFile>>(async context =>
        {
            var rows = context.Files.Where(row => row.Tenant == tenant);
            if (purpose is not null)
                rows = rows.Where(row => row.Purpose == purpose);
            if (after is not null && await context.Files.SingleOrDefaultAsync(row => row.Tenant == tenant && row.Id == after, cancellationToken) is { } place)
                rows = rows.Where(row => row.CreatedAt < place.CreatedAt || (row.CreatedAt == place.CreatedAt && string.Compare(row.Id, place.Id) < 0));
            return [.. (await rows.OrderByDescending(row => row.CreatedAt).ThenByDescending(row => row.Id).Take(limit).ToListAsync(cancellationToken)).Select(row => row.ToFile())];
        }, cancellationToken);

    public Task<bool> DeleteAsync(string tenant, string id, CancellationToken cancellationToken) => database.WriteAsync(
        async context => await context.Files.Where(row => row.Tenant == tenant && row.Id == id).ExecuteDeleteAsync(cancellationToken) > 0, cancellationToken);
}
