using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Life;

namespace QueueMaaS.Jobs.Dispatch;

/// <summary>Where pointers of committed, queued jobs are put for the <see cref="Dispatcher"/>, and the count of those that wait for a worker: here, in its lanes or in the broker.</summary>
public sealed class DispatchInbox : IDisposable
{
    private readonly ConcurrentQueue<JobPointer> _pointers = new();
    private readonly SemaphoreSlim _bell = new(0, 1);
    private readonly int[] _waiting = new int[Enum.GetValues<JobKind>().Length];

    /// <summary>Called when no job of the kind waits any more, as far as this process dispatched them, by whoever took the last one; must not block.</summary>
    internal Action<JobKind>? WhenEmpty { get; set; }

    /// <summary>Takes over a pointer. Never fails: what cannot be published is given back to the table, and the sweeper comes back to it.</summary>
    public void Add(JobPointer pointer)
    {
        Interlocked.Increment(ref _waiting[(int)pointer.Kind]);
        _pointers.Enqueue(pointer);
        Ring();
    }

    public void Dispose() => _bell.Dispose();

    /// <summary>Whether a job of the kind that this process dispatches waits for a worker. Those that other processes dispatch are not known here.</summary>
    internal bool HasWaiting(JobKind kind) => Volatile.Read(ref _waiting[(int)kind]) > 0;

    /// <summary>One of them waits no longer: a worker took its pointer, or another pointer at the same job waits already.</summary>
    internal void Leave(JobKind kind)
    {
        if (Interlocked.Decrement(ref _waiting[(int)kind]) == 0)
            WhenEmpty?.Invoke(kind);
    }

    internal bool TryTake([MaybeNullWhen(false)] out JobPointer pointer) => _pointers.TryDequeue(out pointer);

    /// <summary>Returns when there is something new to do, or after a while.</summary>
    internal Task WaitAsync(TimeSpan atMost, CancellationToken cancellationToken) => _bell.WaitAsync(atMost, cancellationToken);

    /// <summary>Tells the dispatcher that there is something to do.</summary>
    internal void Ring()
    {
        try
        {
            if (_bell.CurrentCount == 0)
                _bell.Release();
        }
        catch (SemaphoreFullException)
        {
            // It has been told already.
        }
    }
}
