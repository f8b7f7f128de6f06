using System.Threading.Channels;

namespace QueueMaaS.Jobs;

/// <summary>
/// Joins writes that arrive together into one: while a write is under way the next ones gather, and go together when it ends.
/// So one alone never waits, no timer is involved, and the group grows with the load.
/// </summary>
public sealed class GroupCommit<TItem, TResult> : IAsyncDisposable
{
    private readonly Channel<Entry> _entries = Channel.CreateUnbounded<Entry>(new UnboundedChannelOptions { SingleReader = true });
    private readonly Func<IReadOnlyList<TItem>, CancellationToken, Task<IReadOnlyList<TResult>>> _commit;
    private readonly int _maxGroup;
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _loop;

    public GroupCommit(Func<IReadOnlyList<TItem>, CancellationToken, Task<IReadOnlyList<TResult>>> commit, int maxGroup)
    {
        _commit = commit;
        _maxGroup = maxGroup;
        _loop = Task.Run(LoopAsync);
    }

    /// <summary>Adds one item; completes with its result once its group is committed, or fails as the group's write failed.</summary>
    public Task<TResult> AddAsync(TItem item, CancellationToken cancellationToken)
    {
        var entry = new Entry(item, new TaskCompletionSource<TResult>(TaskCreationOptions.RunContinuationsAsynchronously));
        ObjectDisposedException.ThrowIf(!_entries.Writer.TryWrite(entry), this);
        return entry.Done.Task.WaitAsync(cancellationToken);
    }

    public async ValueTask DisposeAsync()
    {
        _entries.Writer.TryComplete();
        _stop.CancelAfter(TimeSpan.FromSeconds(5));
        await _loop;
        _stop.Dispose();
    }

    private async Task LoopAsync()
    {
        var group = new List<Entry>();
        while (await _entries.Reader.WaitToReadAsync())
        {
            group.Clear();
            while (group.Count < _maxGroup && _entries.Reader.TryRead(out var entry))
                group.Add(entry);
            await CommitAsync(group);
        }
    }

    private async Task CommitAsync(List<Entry> group)
    {
        try
        {
            var results = await _commit([.. group.Select(entry => entry.Item)], _stop.Token);
            for (var i = 0; i < group.Count; i++)
                group[i].Done.TrySetResult(results[i]);
        }
        catch (Exception exception) when (group.Count > 1 && exception is not OperationCanceledException)
        {
            // One bad row must not fail those that happened to arrive with it: each goes alone.
            foreach (var entry in group.ToArray())
                await CommitAsync([entry]);
        }
        catch (Exception exception)
        {
            foreach (var entry in group)
                entry.Done.TrySetException(exception);
        }
    }

    private readonly record struct Entry(TItem Item, TaskCompletionSource<TResult> Done);
}
