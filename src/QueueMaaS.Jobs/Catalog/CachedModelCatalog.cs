using System.Collections.Concurrent;
using QueueMaaS.Contracts;

namespace QueueMaaS.Jobs.Catalog;

/// <summary>
/// Answers <see cref="IModelCatalog.ResolveAsync"/> from memory, so that a request to a busy model costs no query. Versions never change and are remembered for good; where an alias points is remembered for
/// <see cref="AliasLifetime"/>, and asked again ahead of that while requests come in, so that none of them waits. Everything else goes through.
/// </summary>
public sealed class CachedModelCatalog(IModelCatalog inner, TimeProvider time) : IModelCatalog
{
    /// <summary>For how long an alias that another process has moved may still be followed to where it pointed before.</summary>
    public static readonly TimeSpan AliasLifetime = TimeSpan.FromMilliseconds(200);

    /// <summary>Most versions and most aliases remembered; beyond it all are forgotten and asked for again.</summary>
    public const int Capacity = 4096;

    private const string DefaultAlias = "production";
    private readonly Lock _gate = new();
    private readonly ConcurrentDictionary<(string Tenant, string Name, int Version), ModelVersion> _versions = new();
    private readonly ConcurrentDictionary<(string Tenant, string Name, string Alias), Pointer> _aliases = new();
    private readonly ConcurrentDictionary<(string Tenant, string Name, string Alias), Task<ModelVersion?>> _asking = new();
    private long _changes;

    /// <inheritdoc/>
    public ValueTask<ModelVersion?> ResolveAsync(string tenant, VersionReference reference, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(reference);
        if (reference.Version is { } number)
            return _versions.TryGetValue((tenant, reference.Name, number), out var known) ? new(known) : new(FindAndKeepAsync(tenant, reference, cancellationToken));
        var key = (tenant, reference.Name, reference.Alias ?? DefaultAlias);
        if (_aliases.TryGetValue(key, out var pointer))
        {
            var age = time.GetElapsedTime(pointer.AskedAt);
            if (age < AliasLifetime)
            {
                if (age > AliasLifetime / 2)
                    _ = AskAsync(key, reference);
                return new(pointer.Version);
            }
        }

        return new(AskAsync(key, reference).WaitAsync(cancellationToken));
    }

    /// <inheritdoc/>
    public Task<ModelVersion?> FindAsync(string tenant, VersionReference reference, CancellationToken cancellationToken) => inner.FindAsync(tenant, reference, cancellationToken);

    /// <inheritdoc/>
    public async Task<ModelVersion> RegisterAsync(string tenant, NewModelVersion version, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(version);
        var registered = await inner.RegisterAsync(tenant, version, cancellationToken);
        Forget(tenant, version.Name);
        return registered;
    }

    /// <inheritdoc/>
    public async Task<bool> SetAliasAsync(string tenant, ModelAlias alias, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(alias);
        var found = await inner.SetAliasAsync(tenant, alias, cancellationToken);
        Forget(tenant, alias.Name);
        return found;
    }

    /// <inheritdoc/>
    public Task<IReadOnlyList<ModelVersion>> ListAsync(string tenant, string? afterName, int limit, CancellationToken cancellationToken) => inner.ListAsync(tenant, afterName, limit, cancellationToken);

    /// <inheritdoc/>
    public Task<IReadOnlyList<ModelVersion>> VersionsAsync(string tenant, string name, int? beforeVersion, int limit, CancellationToken cancellationToken) =>
        inner.VersionsAsync(tenant, name, beforeVersion, limit, cancellationToken);

    /// <summary>One question at a time for an alias, whoever waits for it; a caller that goes away takes nothing from the others.</summary>
    private Task<ModelVersion?> AskAsync((string Tenant, string Name, string Alias) key, VersionReference reference)
    {
        if (_asking.TryGetValue(key, out var asking))
            return asking;
        var answer = new TaskCompletionSource<ModelVersion?>(TaskCreationOptions.RunContinuationsAsynchronously);
        asking = _asking.GetOrAdd(key, answer.Task);
        if (ReferenceEquals(asking, answer.Task))
            _ = AskAsync(key, reference, answer);
        return asking;
    }

    private async Task AskAsync((string Tenant, string Name, string Alias) key, VersionReference reference, TaskCompletionSource<ModelVersion?> answer)
    {
        var changes = Interlocked.Read(ref _changes);
        var askedAt = time.GetTimestamp();
        try
        {
            var version = await FindAndKeepAsync(key.Tenant, reference, CancellationToken.None);
            lock (_gate)
            {
                // What was read before a change of our own must not be remembered after it.
                if (changes == _changes)
                {
                    if (version is null)
                    {
                        _aliases.TryRemove(key, out _);
                    }
                    else
                    {
                        if (_aliases.Count >= Capacity)
                            _aliases.Clear();
                        _aliases[key] = new(version, askedAt);
                    }
                }
            }

            _asking.TryRemove(new(key, answer.Task));
            answer.SetResult(version);
        }
        catch (Exception exception)
        {
            _asking.TryRemove(new(key, answer.Task));
            answer.SetException(exception);
            // Nobody may be waiting: a question asked ahead of time that fails is asked again when its answer is needed.
            _ = answer.Task.Exception;
        }
    }

    /// <summary>Keeps one object per version, so that what others have made of it serves all.</summary>
    private async Task<ModelVersion?> FindAndKeepAsync(string tenant, VersionReference reference, CancellationToken cancellationToken)
    {
        var found = await inner.FindAsync(tenant, reference, cancellationToken);
        if (found is null)
            return null;
        if (_versions.Count >= Capacity)
            _versions.Clear();
        return _versions.GetOrAdd((tenant, found.Name, found.Version), found);
    }

    private void Forget(string tenant, string name)
    {
        lock (_gate)
        {
            _changes++;
            foreach (var key in _aliases.Keys)
            {
                if (key.Tenant == tenant && key.Name == name)
                    _aliases.TryRemove(key, out _);
            }

            // A question that is under way may have read before the change; the next caller asks anew.
            foreach (var key in _asking.Keys)
            {
                if (key.Tenant == tenant && key.Name == name)
                    _asking.TryRemove(key, out _);
            }
        }
    }

    private sealed record Pointer(ModelVersion Version, long AskedAt);
}
