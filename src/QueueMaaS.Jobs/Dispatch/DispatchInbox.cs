using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using QueueMaaS.Jobs.Life;

namespace QueueMaaS.Jobs.Dispatch;

/// <summary>Where pointers of committed, queued jobs are put for the <see cref="Dispatcher"/>.</summary>
public sealed class DispatchInbox : IDisposable
{
    private readonly ConcurrentQueue<JobPointer> _pointers = new();
    private readonly SemaphoreSlim _bell = new(0, 1);

    /// <summary>Takes over a pointer. Never fails: what cannot be published is given back to the table, and the sweeper comes back to it.</summary>
    public void Add(JobPointer pointer)
    {
        _pointers.Enqueue(pointer);
        Ring();
    }

    public void Dispose() => _bell.Dispose();

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
