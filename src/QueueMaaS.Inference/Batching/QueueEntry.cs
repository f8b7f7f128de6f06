namespace QueueMaaS.Inference.Batching;

/// <summary>Where an entry is in its way through a <see cref="BatchQueue"/>.</summary>
public enum EntryState
{
    /// <summary>Never offered.</summary>
    New,
    /// <summary>Outside, until there is room.</summary>
    Waiting,
    /// <summary>Inside, until a batch takes it.</summary>
    Queued,
    /// <summary>Taken by a batch, removed, expired or refused. Final.</summary>
    Gone,
}

/// <summary>What waits in a <see cref="BatchQueue"/>: a request, or a part of one that is larger than a batch.</summary>
/// <param name="lane">Entries of equal lanes may be computed together.</param>
/// <param name="rows">Rows it adds to a batch, at least 1.</param>
/// <param name="priority">0 to 9, higher first.</param>
/// <param name="deadline">On the queue's clock: it is not worth computing from then on.</param>
/// <param name="alone">True where it must be computed in a batch of its own.</param>
/// <param name="bytes">Memory that its tensors hold, at least 0.</param>
/// <param name="runLate">True where it is still computed after its deadline, behind those that are in time.</param>
public abstract class QueueEntry(string lane, int rows, int priority, TimeSpan? deadline, bool alone, long bytes = 0, bool runLate = false)
{
    internal const string AloneLane = "\0alone";

    /// <summary>Entries of equal lanes may be computed together; those that go alone have a lane to themselves, so that they never stand between others.</summary>
    public string Lane { get; } = alone ? AloneLane : lane;

    /// <summary>Rows it adds to a batch, at least 1.</summary>
    public int Rows { get; } = rows > 0 ? rows : throw new ArgumentOutOfRangeException(nameof(rows), rows, "An entry has at least one row.");

    /// <summary>0 to 9, higher first.</summary>
    public int Priority { get; } = priority is >= 0 and < BatchQueue.Priorities ? priority : throw new ArgumentOutOfRangeException(nameof(priority), priority, "Priorities are 0 to 9.");

    /// <summary>On the queue's clock: it is not worth computing from then on.</summary>
    public TimeSpan? Deadline { get; } = deadline;

    /// <summary>True where it must be computed in a batch of its own.</summary>
    public bool Alone { get; } = alone;

    /// <summary>Memory that its tensors hold.</summary>
    public long Bytes { get; } = bytes;

    /// <summary>True where it is still computed after its deadline, behind those that are in time.</summary>
    public bool RunLate { get; } = runLate;

    /// <summary>True from its deadline on, where it runs late.</summary>
    public bool IsLate => Level == 0;

    /// <summary>When it was offered, on the queue's clock.</summary>
    public TimeSpan ArrivedAt { get; internal set; }

    /// <summary>Where it is.</summary>
    public EntryState State { get; internal set; }

    internal long Sequence { get; set; }

    /// <summary>0 where it is late, else its priority and one.</summary>
    internal int Level { get; private set; } = priority + 1;

    internal TimeSpan AgesFrom { get; set; }

    internal void BecomeLate(TimeSpan now, long sequence)
    {
        Level = 0;
        AgesFrom = now;
        Sequence = sequence;
    }

    /// <summary>What waits rises by a level with each <paramref name="ageing"/>, so that nothing starves behind a steady stream of higher priority.</summary>
    internal bool GoesBefore(QueueEntry other, TimeSpan now, TimeSpan ageing)
    {
        var (own, others) = (Rank(now, ageing), other.Rank(now, ageing));
        return own != others ? own > others : Sequence < other.Sequence;
    }

    private long Rank(TimeSpan now, TimeSpan ageing) => Level + ((now - AgesFrom).Ticks / ageing.Ticks);

    internal QueueEntry? Next { get; set; }
    internal QueueEntry? Previous { get; set; }
}

/// <summary>A linked list through the entries themselves, so that taking one out of the middle costs nothing and no node is allocated.</summary>
internal struct EntryList
{
    public QueueEntry? First { get; private set; }
    public QueueEntry? Last { get; private set; }

    public void Append(QueueEntry entry) => InsertAfter(Last, entry);

    /// <summary>Puts it in the order of the sequence; near the end, as a rule.</summary>
    public void Insert(QueueEntry entry)
    {
        var before = Last;
        while (before is not null && before.Sequence > entry.Sequence)
            before = before.Previous;
        InsertAfter(before, entry);
    }

    private void InsertAfter(QueueEntry? before, QueueEntry entry)
    {
        var after = before is null ? First : before.Next;
        (entry.Previous, entry.Next) = (before, after);
        if (before is null)
            First = entry;
        else
            before.Next = entry;
        if (after is null)
            Last = entry;
        else
            after.Previous = entry;
    }

    public void Remove(QueueEntry entry)
    {
        if (entry.Previous is null)
            First = entry.Next;
        else
            entry.Previous.Next = entry.Next;
        if (entry.Next is null)
            Last = entry.Previous;
        else
            entry.Next.Previous = entry.Previous;
        entry.Next = entry.Previous = null;
    }
}
