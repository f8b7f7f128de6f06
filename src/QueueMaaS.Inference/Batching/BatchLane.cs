using System.Numerics;

namespace QueueMaaS.Inference.Batching;

/// <summary>Entries that may be computed together: first in, first out within each level. A level is a priority, or what is late, which comes last.</summary>
internal sealed class BatchLane(string key)
{
    private readonly EntryList[] _byLevel = new EntryList[BatchQueue.Priorities + 1];
    private uint _filled;
    private TimeSpan? _earliestDeadline;
    private bool _deadlineIsStale;

    public string Key { get; } = key;

    public int Rows { get; private set; }

    public bool IsEmpty => _filled == 0;

    public TimeSpan OldestArrival
    {
        get
        {
            var oldest = TimeSpan.MaxValue;
            for (var bits = _filled; bits != 0; bits &= bits - 1)
            {
                var arrived = _byLevel[BitOperations.TrailingZeroCount(bits)].First!.ArrivedAt;
                if (arrived < oldest)
                    oldest = arrived;
            }

            return oldest;
        }
    }

    /// <summary>The earliest deadline that can still be met, or null.</summary>
    public TimeSpan? EarliestDeadline
    {
        get
        {
            if (_deadlineIsStale)
                FindEarliestDeadline();
            return _earliestDeadline;
        }
    }

    /// <summary>The entry that goes next: that of the highest rank, then the oldest.</summary>
    public QueueEntry Head(TimeSpan now, TimeSpan ageing)
    {
        if ((_filled & (_filled - 1)) == 0)
            return _byLevel[BitOperations.Log2(_filled)].First!;
        QueueEntry? head = null;
        for (var bits = _filled; bits != 0; bits &= bits - 1)
        {
            var first = _byLevel[BitOperations.TrailingZeroCount(bits)].First!;
            if (head is null || first.GoesBefore(head, now, ageing))
                head = first;
        }

        return head!;
    }

    public void Add(QueueEntry entry)
    {
        // What became late outside may come in after what became late here later.
        _byLevel[entry.Level].Insert(entry);
        _filled |= 1u << entry.Level;
        Rows += entry.Rows;
        if (!entry.IsLate && entry.Deadline is { } deadline && (_earliestDeadline is not { } earliest || deadline < earliest))
            _earliestDeadline = deadline;
    }

    public void Remove(QueueEntry entry)
    {
        ref var list = ref _byLevel[entry.Level];
        list.Remove(entry);
        if (list.First is null)
            _filled &= ~(1u << entry.Level);
        Rows -= entry.Rows;
        _deadlineIsStale |= entry.Deadline is not null && entry.Deadline == _earliestDeadline;
    }

    /// <summary>Asked only while the lane holds less than a batch, so that it is a short walk.</summary>
    private void FindEarliestDeadline()
    {
        _deadlineIsStale = false;
        _earliestDeadline = null;
        for (var bits = _filled & ~1u; bits != 0; bits &= bits - 1)
        {
            for (var entry = _byLevel[BitOperations.TrailingZeroCount(bits)].First; entry is not null; entry = entry.Next)
            {
                if (entry.Deadline is { } deadline && (_earliestDeadline is not { } earliest || deadline < earliest))
                    _earliestDeadline = deadline;
            }
        }
    }
}
