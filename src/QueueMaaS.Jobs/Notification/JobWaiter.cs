using System.Collections.Concurrent;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Life;

namespace QueueMaaS.Jobs.Notification;

/// <summary>Waits for jobs to change: woken by signals, and looking for itself once a second in case one was lost.</summary>
public sealed class JobWaiter : IDisposable
{
    private static readonly TimeSpan LookAnyway = TimeSpan.FromSeconds(1);
    private readonly ConcurrentDictionary<string, ConcurrentDictionary<object, TaskCompletionSource>> _waiters = new();
    private readonly IJobStore _store;
    private readonly TimeProvider _time;
    private readonly IDisposable _subscription;

    public JobWaiter(IJobStore store, IJobSignals signals, TimeProvider time)
    {
        _store = store;
        _time = time;
        _subscription = signals.Subscribe(OnChange);
    }

    /// <summary>Returns the job once it is final, or as it is when <paramref name="timeout"/> has passed; null where there is none.</summary>
    public async Task<JobRecord?> WaitForEndAsync(string tenant, string id, TimeSpan timeout, CancellationToken cancellationToken)
    {
        var started = _time.GetTimestamp();
        using var wake = Listen(id);
        while (true)
        {
            var next = wake.Next();
            var job = await _store.FindAsync(tenant, id, cancellationToken);
            var left = timeout - _time.GetElapsedTime(started);
            if (job is null || job.State.IsFinal() || left <= TimeSpan.Zero)
                return job;
            await WaitAsync(next, left < LookAnyway ? left : LookAnyway, cancellationToken);
        }
    }

    /// <summary>Listens to one job; take <see cref="Listener.Next"/> before looking at the table, so that no change falls between.</summary>
    public Listener Listen(string id) => new(this, id);

    /// <summary>Waits until the task completes or the time is over.</summary>
    public async Task WaitAsync(Task next, TimeSpan atMost, CancellationToken cancellationToken)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        await Task.WhenAny(next, Task.Delay(atMost, _time, stop.Token));
        await stop.CancelAsync();
        cancellationToken.ThrowIfCancellationRequested();
    }

    public void Dispose() => _subscription.Dispose();

    private void OnChange(JobChange change)
    {
        if (!_waiters.TryGetValue(change.Id, out var listeners))
            return;
        foreach (var key in listeners.Keys)
        {
            if (listeners.TryGetValue(key, out var source))
                source.TrySetResult();
        }
    }

    /// <summary>One listener's place among those waiting for a job.</summary>
    public sealed class Listener : IDisposable
    {
        private readonly JobWaiter _owner;
        private readonly string _id;

        internal Listener(JobWaiter owner, string id)
        {
            _owner = owner;
            _id = id;
        }

        /// <summary>Completes with the next change of the job.</summary>
        public Task Next()
        {
            var source = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            var listeners = _owner._waiters.GetOrAdd(_id, _ => new());
            listeners[this] = source;
            // Another listener's departure may have removed the set between the two lines above: put it back.
            _owner._waiters.TryAdd(_id, listeners);
            return source.Task;
        }

        public void Dispose()
        {
            if (_owner._waiters.TryGetValue(_id, out var listeners) && listeners.TryRemove(this, out _) && listeners.IsEmpty)
                _owner._waiters.TryRemove(new KeyValuePair<string, ConcurrentDictionary<object, TaskCompletionSource>>(_id, listeners));
        }
    }
}
