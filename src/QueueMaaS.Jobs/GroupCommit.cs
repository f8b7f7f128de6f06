using System.Threading.Channels;

namespace QueueMaaS.Jobs;

/// <summary>
/// Joins writes that arrive together into one: while a write is under way the next ones gather, and go together when it ends.
/// So one alone never waits, and the group grows with the load. Only after a group of several the next one is given a few milliseconds to gather, or until it is as large as those
/// before it: then the system is busy, and a larger group costs each of its members less than the wait.
/// </summary>
public sealed class GroupCommit<TItem, TResult> : IAsyncDisposable
{
    // From how many members on a group is a sign of load, and how long the next one then gathers at most, a look at a time.
    private const int Busy = 8;
    private const int Looks = 4;

    // Of a large group this share is forgotten with each one after it.
    private const int Forgetting = 16;
    private static readonly TimeSpan BetweenLooks = TimeSpan.FromMilliseconds(1);

    private readonly Channel<Entry> _entries = Channel.CreateUnbounded<Entry>(new UnboundedChannelOptions());
    private readonly Func<IReadOnlyList<TItem>, CancellationToken, Task<IReadOnlyList<TResult>>> _commit;
    private readonly int _maxGroup;
    private readonly Func<TItem, long>? _weigh;
    private readonly long _maxWeight;
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _loop;

    /// <param name="commit">Writes a group and answers one result for each item.</param>
    /// <param name="maxGroup">Most items in a group.</param>
    /// <param name="weigh">What an item weighs; left out, nothing.</param>
    /// <param name="maxWeight">A group closes when it weighs this much.</param>
    /// <param name="lanes">Groups written at the same time: with two, one gathers and is sent while another waits for the disk.</param>
    public GroupCommit(Func<IReadOnlyList<TItem>, CancellationToken, Task<IReadOnlyList<TResult>>> commit, int maxGroup, Func<TItem, long>? weigh = null, long maxWeight = long.MaxValue, int lanes = 1)
    {
        _commit = commit;
        _maxGroup = maxGroup;
        _weigh = weigh;
        _maxWeight = maxWeight;
        _loop = Task.WhenAll(Enumerable.Range(0, lanes).Select(_ => Task.Run(LoopAsync)));
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
        var expected = 0;
        while (await _entries.Reader.WaitToReadAsync())
        {
            // Once as many are there as were in the largest of the last groups, whoever waited for those has come back: no more may come.
            for (var look = 0; group.Count >= Busy && look < Looks && _entries.Reader.Count < Math.Min(expected, _maxGroup); look++)
                await Task.Delay(BetweenLooks);
            group.Clear();
            var weight = 0L;
            while (group.Count < _maxGroup && weight < _maxWeight && _entries.Reader.TryRead(out var entry))
            {
                group.Add(entry);
                weight += _weigh?.Invoke(entry.Item) ?? 0;
            }

            expected = Math.Max(group.Count, expected - 1 - (expected / Forgetting));
            if (group.Count > 0)
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
        catch (Exception exception) when (group.Count > 1 && exception is not (OperationCanceledException or TimeoutException or System.Data.Common.DbException { IsTransient: true }))
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
