using QueueMaaS.Contracts;

namespace QueueMaaS.Jobs.Access;

/// <summary>A key as it is kept.</summary>
public sealed class ApiKey
{
    public required string Id { get; set; }
    public required string Tenant { get; set; }
    public required string Name { get; set; }
    /// <summary>With spaces between.</summary>
    public required string Scopes { get; set; }
    public required byte[] Hash { get; set; }
    /// <summary>Of the secret before the last rotation.</summary>
    public byte[]? OldHash { get; set; }
    public DateTimeOffset? OldUntil { get; set; }
    public required DateTimeOffset CreatedAt { get; set; }
    public DateTimeOffset? ExpiresAt { get; set; }
    public DateTimeOffset? RevokedAt { get; set; }

    public ApiKeyView ToView(string? secret = null) => new()
    {
        Id = Id,
        Name = Name,
        Tenant = Tenant,
        Scopes = Scopes.Split(' '),
        CreatedAt = CreatedAt,
        ExpiresAt = ExpiresAt,
        RevokedAt = RevokedAt,
        OldSecretUntil = OldUntil,
        Secret = secret,
    };
}

/// <summary>The keys. A revoked key stays, so that a service that asked for keys never stops to.</summary>
public interface IApiKeyStore
{
    Task<bool> AnyAsync(CancellationToken cancellationToken);

    Task<ApiKey?> FindAsync(string id, CancellationToken cancellationToken);

    /// <summary>Of one tenant, or (null) of all; the oldest first.</summary>
    Task<IReadOnlyList<ApiKey>> ListAsync(string? tenant, CancellationToken cancellationToken);

    /// <summary>Stores a new or changed key and what is to be remembered of it in one transaction.</summary>
    Task PutAsync(ApiKey key, AuditEntry entry, CancellationToken cancellationToken);
}

/// <summary>The audit trail: entries are added and read, nothing else.</summary>
public interface IAuditTrail
{
    Task AddAsync(AuditEntry entry, CancellationToken cancellationToken);

    /// <summary>The newest first, of one tenant or (null) of all, before an id.</summary>
    Task<IReadOnlyList<AuditEntry>> ListAsync(string? tenant, string? before, int limit, CancellationToken cancellationToken);
}

/// <summary>The secret that key hashes are made with.</summary>
public interface IKeyPepper
{
    ReadOnlySpan<byte> Value { get; }
}
