namespace QueueMaaS.Inference.Batching;

/// <summary>
/// Entries by deadline. An entry that left early stays in the heap until its time or the next clean-up, which comes when such entries outnumber the others:
/// a removal then costs O(log n) spread over all, and far deadlines of finished requests cannot pile up.
/// </summary>
internal sealed class DeadlineHeap
{
    private const int MinCleanUp = 64;

    private PriorityQueue<QueueEntry, TimeSpan> _heap = new();
    private int _live;

    /// <summary>Entries held, those that are gone included.</summary>
    public int Held => _heap.Count;

    /// <summary>The earliest deadline, or null.</summary>
    public TimeSpan? Next
    {
        get
        {
            DropGone();
            return _heap.TryPeek(out _, out var deadline) ? deadline : null;
        }
    }

    public void Add(QueueEntry entry, TimeSpan deadline)
    {
        _heap.Enqueue(entry, deadline);
        _live++;
    }

    /// <summary>Call when an entry with a deadline has left.</summary>
    public void Forget()
    {
        _live--;
        if (_heap.Count <= MinCleanUp || _heap.Count <= 2 * _live)
            return;
        _heap = new(_heap.UnorderedItems.Where(i => i.Element.State != EntryState.Gone));
    }

    /// <summary>The next entry still waiting whose deadline has come, or null. The caller takes it out of the queue.</summary>
    public QueueEntry? TakeDue(TimeSpan now)
    {
        DropGone();
        return _heap.TryPeek(out _, out var deadline) && deadline <= now ? _heap.Dequeue() : null;
    }

    private void DropGone()
    {
        while (_heap.TryPeek(out var entry, out _) && entry.State == EntryState.Gone)
            _heap.Dequeue();
    }
}
