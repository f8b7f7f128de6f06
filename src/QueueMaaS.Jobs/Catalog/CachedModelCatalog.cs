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

    /// <summary>Stands for no alias: the production version, or that of an alias with a share of the traffic.</summary>
    private const string BareName = "";
    private readonly Lock _gate = new();
    private readonly ConcurrentDictionary<(string Tenant, string Name, int Version), ModelVersion> _versions = new();
    private readonly ConcurrentDictionary<(string Tenant, string Name, string Alias), Pointer> _aliases = new();
    private readonly ConcurrentDictionary<(string Tenant, string Name, string Alias), Task<Pointer?>> _asking = new();
    private long _changes;

    /// <inheritdoc/>
    public ValueTask<ModelVersion?> ResolveAsync(string tenant, VersionReference reference, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(reference);
        if (reference.Version is { } number)
            return _versions.TryGetValue((tenant, reference.Name, number), out var known) ? new(known) : new(FindAndKeepAsync(tenant, reference, cancellationToken));
        var key = (tenant, reference.Name, reference.Alias ?? BareName);
        if (_aliases.TryGetValue(key, out var pointer))
        {
            var age = time.GetElapsedTime(pointer.AskedAt);
            if (age < AliasLifetime)
            {
                if (age > AliasLifetime / 2)
                    _ = AskAsync(key, reference);
                return new(pointer.Draw());
            }
        }

        return new(DrawAsync(AskAsync(key, reference), cancellationToken));
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
    public async Task<bool> RemoveAliasAsync(string tenant, string name, string alias, CancellationToken cancellationToken)
    {
        var found = await inner.RemoveAliasAsync(tenant, name, alias, cancellationToken);
        Forget(tenant, name);
        return found;
    }

    /// <inheritdoc/>
    public Task<IReadOnlyList<ModelAlias>> AliasesAsync(string tenant, string name, CancellationToken cancellationToken) => inner.AliasesAsync(tenant, name, cancellationToken);

    /// <inheritdoc/>
    public Task<IReadOnlyList<ModelVersion>> ListAsync(string tenant, string? afterName, int limit, CancellationToken cancellationToken) => inner.ListAsync(tenant, afterName, limit, cancellationToken);

    /// <inheritdoc/>
    public Task<IReadOnlyList<ModelVersion>> VersionsAsync(string tenant, string name, int? beforeVersion, int limit, CancellationToken cancellationToken) =>
        inner.VersionsAsync(tenant, name, beforeVersion, limit, cancellationToken);

    /// <summary>One question at a time for an alias, whoever waits for it; a caller that goes away takes nothing from the others.</summary>
    private Task<Pointer?> AskAsync((string Tenant, string Name, string Alias) key, VersionReference reference)
    {
        if (_asking.TryGetValue(key, out var asking))
            return asking;
        var answer = new TaskCompletionSource<Pointer?>(TaskCreationOptions.RunContinuationsAsynchronously);
        asking = _asking.GetOrAdd(key, answer.Task);
        if (ReferenceEquals(asking, answer.Task))
            _ = AskAsync(key, reference, answer);
        return asking;
    }

    private async Task AskAsync((string Tenant, string Name, string Alias) key, VersionReference reference, TaskCompletionSource<Pointer?> answer)
    {
        var changes = Interlocked.Read(ref _changes);
        var askedAt = time.GetTimestamp();
        try
        {
            var pointer = await PointAsync(key, reference, askedAt);
            lock (_gate)
            {
                // What was read before a change of our own must not be remembered after it.
                if (changes == _changes)
                {
                    if (pointer is null)
                    {
                        _aliases.TryRemove(key, out _);
                    }
                    else
                    {
                        if (_aliases.Count >= Capacity)
                            _aliases.Clear();
                        _aliases[key] = pointer;
                    }
                }
            }

            _asking.TryRemove(new(key, answer.Task));
            answer.SetResult(pointer);
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

    /// <inheritdoc/>
    public void Forget(string tenant, string name)
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

    private static async Task<ModelVersion?> DrawAsync(Task<Pointer?> asking, CancellationToken cancellationToken) => (await asking.WaitAsync(cancellationToken))?.Draw();

    private async Task<Pointer?> PointAsync((string Tenant, string Name, string Alias) key, VersionReference reference, long askedAt)
    {
        if (await FindAndKeepAsync(key.Tenant, reference, CancellationToken.None) is not { } version)
            return null;
        if (key.Alias != BareName)
            return new(version, [], askedAt);
        var shares = new List<(double, ModelVersion)>();
        foreach (var alias in await inner.AliasesAsync(key.Tenant, key.Name, CancellationToken.None))
        {
            if (alias.Share is { } share && await FindAndKeepAsync(key.Tenant, new(key.Name, alias.Version, Alias: null), CancellationToken.None) is { } other)
                shares.Add((share, other));
        }

        return new(version, [.. shares], askedAt);
    }

    /// <summary>Where a name leads.</summary>
    /// <param name="Version">The version that it means.</param>
    /// <param name="Shares">Versions that take a part of its traffic.</param>
    /// <param name="AskedAt">When the catalogue said so.</param>
    private sealed record Pointer(ModelVersion Version, (double Share, ModelVersion Version)[] Shares, long AskedAt)
    {
        public ModelVersion Draw()
        {
            if (Shares.Length == 0)
                return Version;
            var at = Random.Shared.NextDouble();
            foreach (var (share, version) in Shares)
            {
                at -= share;
                if (at < 0)
                    return version;
            }

            return Version;
        }
    }
}
