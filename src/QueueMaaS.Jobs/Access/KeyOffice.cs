using System.Security.Cryptography;
using System.Text;
using QueueMaaS.Contracts;

namespace QueueMaaS.Jobs.Access;

/// <summary>Makes, rotates, revokes and checks keys. A key's text is <c>qm_{id}_{64 hexadecimal digits}</c>; kept is HMAC-SHA256 of it under the deployment's pepper.</summary>
public sealed class KeyOffice(IApiKeyStore store, IKeyPepper pepper, TimeProvider time)
{
    /// <summary>How every key begins.</summary>
    public const string Prefix = "qm_";

    /// <exception cref="ProblemException"><c>invalid_value</c>.</exception>
    public async Task<ApiKeyView> CreateAsync(NewApiKey wanted, string by, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(wanted);
        if (!Identifiers.IsName(wanted.Tenant))
            throw new ProblemException(ProblemCodes.InvalidValue, "`tenant` must be a name: 1 to 64 of lower-case letters, digits and - _ .", ("path", "tenant"));
        if (string.IsNullOrWhiteSpace(wanted.Name) || wanted.Name.Length > 128)
            throw new ProblemException(ProblemCodes.InvalidValue, "`name` must say what the key is for, in 1 to 128 characters.", ("path", "name"));
        if (wanted.Scopes.Count == 0 || wanted.Scopes.Any(scope => !AccessScopes.All.Contains(scope)))
            throw new ProblemException(ProblemCodes.InvalidValue, $"`scopes` must be some of {string.Join(", ", AccessScopes.All)}.", ("path", "scopes"));
        var now = time.GetUtcNow();
        if (wanted.ExpiresAt <= now)
            throw new ProblemException(ProblemCodes.InvalidValue, "`expiresAt` must lie in the future.", ("path", "expiresAt"));
        var id = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(8));
        var secret = NewSecret(id);
        var key = new ApiKey
        {
            Id = id,
            Tenant = wanted.Tenant!,
            Name = wanted.Name,
            Scopes = string.Join(' ', AccessScopes.All.Where(wanted.Scopes.Contains)),
            Hash = HashOf(secret),
            CreatedAt = now,
            ExpiresAt = wanted.ExpiresAt?.ToUniversalTime(),
        };
        await store.PutAsync(key, Entry(key, by, "key.create"), cancellationToken);
        return key.ToView(secret);
    }

    /// <summary>Gives a key a new secret; the old one works on for <paramref name="keepOld"/>.</summary>
    /// <param name="id">The key's id.</param>
    /// <param name="tenant">Only if it belongs to this tenant; null: to any.</param>
    /// <param name="keepOld">Zero or more.</param>
    /// <param name="by">Who does it.</param>
    /// <param name="cancellationToken">Ends the work.</param>
    /// <exception cref="ProblemException"><c>key_not_found</c>, or <c>key_state_conflict</c>: it is revoked.</exception>
    public async Task<ApiKeyView> RotateAsync(string id, string? tenant, TimeSpan keepOld, string by, CancellationToken cancellationToken)
    {
        var key = await RequireAsync(id, tenant, cancellationToken);
        if (key.RevokedAt is not null)
            throw new ProblemException(ProblemCodes.KeyStateConflict, $"Key `{id}` is revoked. Make a new one.", ("id", id));
        var secret = NewSecret(id);
        var keeps = keepOld > TimeSpan.Zero;
        key.OldHash = keeps ? key.Hash : null;
        key.OldUntil = keeps ? time.GetUtcNow() + keepOld : null;
        key.Hash = HashOf(secret);
        await store.PutAsync(key, Entry(key, by, "key.rotate"), cancellationToken);
        return key.ToView(secret);
    }

    /// <summary>Ends a key for good. A repeat changes nothing.</summary>
    /// <exception cref="ProblemException"><c>key_not_found</c>.</exception>
    public async Task<ApiKeyView> RevokeAsync(string id, string? tenant, string by, CancellationToken cancellationToken)
    {
        var key = await RequireAsync(id, tenant, cancellationToken);
        if (key.RevokedAt is null)
        {
            key.RevokedAt = time.GetUtcNow();
            await store.PutAsync(key, Entry(key, by, "key.revoke"), cancellationToken);
        }

        return key.ToView();
    }

    /// <summary>Whether a key's text is right; expiry and revocation are the caller's to look at. Compared in constant time.</summary>
    public bool Matches(ApiKey key, string text)
    {
        ArgumentNullException.ThrowIfNull(key);
        var hash = HashOf(text);
        var isNew = CryptographicOperations.FixedTimeEquals(hash, key.Hash);
        var isOld = key.OldHash is { } old && key.OldUntil > time.GetUtcNow() && CryptographicOperations.FixedTimeEquals(hash, old);
        return isNew || isOld;
    }

    /// <summary>The id in a key's text; null where it is none.</summary>
    public static string? IdOf(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        return text.Length == Prefix.Length + 16 + 1 + 64 && text.StartsWith(Prefix, StringComparison.Ordinal) ? text[Prefix.Length..(Prefix.Length + 16)] : null;
    }

    private async Task<ApiKey> RequireAsync(string id, string? tenant, CancellationToken cancellationToken) =>
        await store.FindAsync(id, cancellationToken) is { } key && (tenant is null || key.Tenant == tenant)
            ? key
            : throw new ProblemException(ProblemCodes.KeyNotFound, $"There is no key `{id}`.", ("id", id));

    private AuditEntry Entry(ApiKey key, string by, string action)
    {
        var now = time.GetUtcNow();
        return new(Ulid.NewUlid(now).ToString(), now, key.Tenant, by, action, key.Id, "done");
    }

    private static string NewSecret(string id) => $"{Prefix}{id}_{Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(32))}";

    private byte[] HashOf(string text) => HMACSHA256.HashData(pepper.Value, Encoding.UTF8.GetBytes(text));
}

/// <summary>A key that is to be made.</summary>
public sealed record NewApiKey
{
    /// <summary>Whose it is. Default: the caller's own tenant.</summary>
    public string? Tenant { get; init; }
    /// <summary>What it is for.</summary>
    public required string Name { get; init; }
    /// <summary>Of <see cref="AccessScopes"/>.</summary>
    public required IReadOnlyList<string> Scopes { get; init; }
    /// <summary>Default: never.</summary>
    public DateTimeOffset? ExpiresAt { get; init; }
}
