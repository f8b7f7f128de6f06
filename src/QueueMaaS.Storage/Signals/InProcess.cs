using System.Collections.Concurrent;
using QueueMaaS.Jobs.Estimation;
using QueueMaaS.Jobs.Life;
using QueueMaaS.Jobs.Notification;

namespace QueueMaaS.Storage.Signals;

/// <summary>Wake-ups within one process: for the embedded default.</summary>
public sealed class InProcessSignals : IJobSignals
{
    private readonly ConcurrentDictionary<object, Action<JobChange>> _subscribers = new();

    public Task PublishAsync(IReadOnlyList<JobChange> changes, CancellationToken cancellationToken)
    {
        foreach (var change in changes)
        {
            foreach (var subscriber in _subscribers.Values)
                subscriber(change);
        }

        return Task.CompletedTask;
    }

    public IDisposable Subscribe(Action<JobChange> onChange)
    {
        var key = new object();
        _subscribers[key] = onChange;
        return new Subscription(() => _subscribers.TryRemove(key, out _));
    }
}

internal sealed class Subscription(Action end) : IDisposable
{
    public void Dispose() => end();
}

/// <summary>The embedded default reads its own database file faster than it could keep a cache true.</summary>
public sealed class NoJobCache : IJobCache
{
    public ValueTask<ReadOnlyMemory<byte>?> FindAsync(string tenant, string id, CancellationToken cancellationToken) => new((ReadOnlyMemory<byte>?)null);

    public Task PutAsync(IReadOnlyList<JobRecord> jobs, CancellationToken cancellationToken) => Task.CompletedTask;

    public Task RemoveAsync(string tenant, IReadOnlyList<string> ids, CancellationToken cancellationToken) => Task.CompletedTask;
}

/// <summary>Reports of the workers in this process: for the embedded default.</summary>
public sealed class InProcessLoadBoard(TimeProvider time) : ILoadBoard
{
    private readonly ConcurrentDictionary<(string Artifact, string Worker), ModelLoad> _loads = new();

    public Task PutAsync(string worker, IReadOnlyList<ModelLoad> loads, CancellationToken cancellationToken)
    {
        foreach (var (key, load) in _loads)
        {
            if (IsOld(load))
                _loads.TryRemove(new(key, load));
        }

        foreach (var load in loads)
            _loads[(load.Artifact, worker)] = load;
        return Task.CompletedTask;
    }

    public Task<IReadOnlyList<ModelLoad>> FindAsync(string artifact, CancellationToken cancellationToken) =>
        Task.FromResult<IReadOnlyList<ModelLoad>>([.. _loads.Where(entry => entry.Key.Artifact == artifact && !IsOld(entry.Value)).Select(entry => entry.Value)]);

    private bool IsOld(ModelLoad load) => time.GetUtcNow() - load.At > ILoadBoard.Lifetime;
}
