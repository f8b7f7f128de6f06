using System.Collections.Concurrent;
using Microsoft.Extensions.Options;
using QueueMaaS.Jobs.Access;

namespace QueueMaaS.Api.Access;

/// <summary>The keys as this process knows them: each is remembered for a moment, so that a request does not cost a look into the table.</summary>
internal sealed class KeyRing(IApiKeyStore store, KeyOffice office, IOptions<AccessOptions> options, TimeProvider time)
{
    private readonly ConcurrentDictionary<string, (ApiKey Key, long At)> _known = new(StringComparer.Ordinal);

    // Keys are revoked, never deleted: once there was one, keys are asked for.
    private volatile bool _any;
    private long _looked = long.MinValue;

    /// <summary>Whether callers need a key.</summary>
    public async ValueTask<bool> AreNeededAsync(CancellationToken cancellationToken)
    {
        if (_any || options.Value.RequireKeys)
            return true;
        var looked = Volatile.Read(ref _looked);
        if (looked != long.MinValue && time.GetElapsedTime(looked) < options.Value.KeyCache)
            return false;
        _any = await store.AnyAsync(cancellationToken);
        Volatile.Write(ref _looked, time.GetTimestamp());
        return _any;
    }

    /// <summary>The key with this text; null where there is none, or it does not work any more.</summary>
    public async ValueTask<ApiKey?> FindAsync(string text, CancellationToken cancellationToken)
    {
        if (KeyOffice.IdOf(text) is not { } id)
            return null;
        // A text that does not fit may be newer than what is remembered: the key may have been rotated by another process.
        if (_known.TryGetValue(id, out var known) && time.GetElapsedTime(known.At) < options.Value.KeyCache && office.Matches(known.Key, text))
            return Working(known.Key);
        // Ids that do not exist are not remembered, or whoever makes them up would fill the memory.
        if (await store.FindAsync(id, cancellationToken) is not { } found)
            return null;
        _known[id] = (found, time.GetTimestamp());
        return office.Matches(found, text) ? Working(found) : null;
    }

    /// <summary>A key was changed by this process.</summary>
    public void Forget(string id)
    {
        _any = true;
        _known.TryRemove(id, out _);
    }

    private ApiKey? Working(ApiKey key) => key.RevokedAt is null && !(key.ExpiresAt <= time.GetUtcNow()) ? key : null;
}
