using System.Security.Cryptography;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Options;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Access;

namespace QueueMaaS.Storage.Database;

/// <summary>Keys and the audit trail, by EF Core.</summary>
internal sealed class AccessStore(DatabaseSession database) : IApiKeyStore, IAuditTrail
{
    public Task<bool> AnyAsync(CancellationToken cancellationToken) => database.ReadAsync(context => context.Keys.AnyAsync(cancellationToken), cancellationToken);

    public Task<ApiKey?> FindAsync(string id, CancellationToken cancellationToken) => database.ReadAsync(context => context.Keys.SingleOrDefaultAsync(key => key.Id == id, cancellationToken), cancellationToken);

    public Task<IReadOnlyList<ApiKey>> ListAsync(string? tenant, CancellationToken cancellationToken) => database.ReadAsync<IReadOnlyList<ApiKey>>(
        async context => await context.Keys.Where(key => tenant == null || key.Tenant == tenant).OrderBy(key => key.CreatedAt).ToListAsync(cancellationToken), cancellationToken);

    public Task PutAsync(ApiKey key, AuditEntry entry, CancellationToken cancellationToken) => database.WriteAsync(async context =>
    {
        if (await context.Keys.AnyAsync(row => row.Id == key.Id, cancellationToken))
            context.Keys.Update(key);
        else
            context.Keys.Add(key);
        context.Audit.Add(entry);
        return 0;
    }, cancellationToken);

    public Task AddAsync(AuditEntry entry, CancellationToken cancellationToken) => database.WriteAsync(context =>
    {
        context.Audit.Add(entry);
        return Task.FromResult(0);
    }, cancellationToken);

    Task<IReadOnlyList<AuditEntry>> IAuditTrail.ListAsync(string? tenant, string? before, int limit, CancellationToken cancellationToken) => database.ReadAsync<IReadOnlyList<AuditEntry>>(
        async context => await context.Audit.Where(entry => (tenant == null || entry.Tenant == tenant) && (before == null || string.Compare(entry.Id, before) < 0))
            .OrderByDescending(entry => entry.Id).Take(limit).ToListAsync(cancellationToken),
        cancellationToken);
}

/// <summary>The pepper of the settings, or else of a file in the data folder that only its owner can read, made at random when it is first needed. All processes share the folder.</summary>
internal sealed class KeyPepper(IOptions<AccessOptions> access, IOptions<StorageOptions> storage) : IKeyPepper
{
    private readonly Lazy<byte[]> _value = new(() => access.Value.KeyPepper is { } text ? System.Text.Encoding.UTF8.GetBytes(text) : OfFile(Path.Combine(Path.GetFullPath(storage.Value.DataFolder), "key-pepper")));

    public ReadOnlySpan<byte> Value => _value.Value;

    private static byte[] OfFile(string path)
    {
        if (!File.Exists(path))
        {
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            var incoming = $"{path}.{Guid.NewGuid():n}";
            var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write };
            if (!OperatingSystem.IsWindows())
                options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
            using (var file = new FileStream(incoming, options))
                file.Write(RandomNumberGenerator.GetBytes(32));
            try
            {
                // Whoever comes first wins: keys may be made with it at once.
                File.Move(incoming, path, overwrite: false);
            }
            catch (IOException) when (File.Exists(path))
            {
                File.Delete(incoming);
            }
        }

        return File.ReadAllBytes(path);
    }
}
