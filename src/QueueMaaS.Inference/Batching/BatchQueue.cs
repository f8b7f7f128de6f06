namespace QueueMaaS.Inference.Batching;

/// <summary>Limits of a <see cref="BatchQueue"/>.</summary>
/// <param name="MaxBatchSize">Most rows in a batch, at least 1.</param>
/// <param name="MaxQueueDelay">How long an entry may wait for batch-mates while an instance is idle; zero: not at all.</param>
/// <param name="MaxRows">Most rows inside, at least 1. An entry of more rows than that enters an empty queue alone.</param>
public sealed record BatchQueueLimits(int MaxBatchSize, TimeSpan MaxQueueDelay, int MaxRows)
{
    /// <summary>Sizes at which a batch is closed though it might grow. Default: none but the largest.</summary>
    public IReadOnlyList<int> PreferredSizes { get; init; } = [];
    /// <summary>Most memory held by the tensors of what is inside, in bytes. Default: not bounded.</summary>
    public long MaxBytes { get; init; } = long.MaxValue;
    /// <summary>How long before its deadline an entry that waits for batch-mates is let go, so that it is in time. Default 1 ms.</summary>
    public TimeSpan DeadlineLead { get; init; } = TimeSpan.FromMilliseconds(1);
    /// <summary>After each such time of waiting an entry counts as one priority higher. Default 1 s.</summary>
    public TimeSpan Ageing { get; init; } = TimeSpan.FromSeconds(1);
}

/// <summary>Why a batch was closed when it was.</summary>
public enum CloseReason
{
    /// <summary>No further entry fits.</summary>
    Full,
    /// <summary>Its rows had come to a preferred size.</summary>
    Preferred,
    /// <summary>An instance was idle and nothing is to be waited for.</summary>
    Idle,
    /// <summary>Its lane's oldest entry had waited the longest allowed.</summary>
    Delay,
    /// <summary>An entry would have missed its deadline by waiting longer.</summary>
    Deadline,
    /// <summary>The entry takes no batch-mates.</summary>
    Single,
}

/// <summary>Entries to be computed together.</summary>
/// <param name="Entries">At least one, all of one lane, in the order of service.</param>
/// <param name="Rows">The sum of their rows.</param>
/// <param name="Reason">Why the batch was closed.</param>
public sealed record ClosedBatch(IReadOnlyList<QueueEntry> Entries, int Rows, CloseReason Reason);

/// <summary>
/// The batcher's decisions and nothing else: no threads, no clock of its own and no model, so that every sequence of events can be replayed. Not thread-safe.
/// Entries wait in lanes. When an instance is idle it takes the best batch there is: of the lanes that may close one now, that with the highest priority waiting, then that with the oldest entry of it
/// (so a busy lane cannot hold up a quiet one); priorities rise with waiting. Rows and bytes inside are bounded; entries beyond wait outside, first come, first served.
/// </summary>
public sealed class BatchQueue
{
    /// <summary>How many priorities there are: 0 to 9.</summary>
    public const int Priorities = 10;

    private readonly int _maxEntryRows;
    private readonly Dictionary<string, BatchLane> _lanes = new(StringComparer.Ordinal);
    private readonly DeadlineHeap _deadlines = new();
    private readonly int[] _rowsByLevel = new int[Priorities + 1];
    private EntryList _outside;
    private BatchLane? _lastLane;
    private long _sequence;

    /// <summary>An empty queue.</summary>
    public BatchQueue(BatchQueueLimits limits)
    {
        ArgumentNullException.ThrowIfNull(limits);
        ArgumentOutOfRangeException.ThrowIfLessThan(limits.MaxBatchSize, 1, nameof(limits));
        ArgumentOutOfRangeException.ThrowIfLessThan(limits.MaxRows, 1, nameof(limits));
        ArgumentOutOfRangeException.ThrowIfLessThan(limits.MaxQueueDelay, TimeSpan.Zero, nameof(limits));
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(limits.Ageing, TimeSpan.Zero, nameof(limits));
        Limits = limits;
        _maxEntryRows = limits.MaxBatchSize;
    }

    /// <summary>May be replaced at any time. A smaller batch size lets entries that are larger already go alone.</summary>
    public BatchQueueLimits Limits { get; set; }

    /// <summary>Memory held by the tensors of what is inside, in bytes.</summary>
    public long Bytes { get; private set; }

    /// <summary>Rows inside.</summary>
    public int Rows { get; private set; }

    /// <summary>Entries inside and outside.</summary>
    public int Count { get; private set; }

    /// <summary>When true nothing waits for batch-mates any more.</summary>
    public bool Draining { get; set; }

    /// <summary>Takes an entry in, or lets it wait outside while the queue is full.</summary>
    /// <returns>The entry's new state: queued, waiting, or gone where the queue is full and <paramref name="rejectWhenFull"/> is set.</returns>
    public EntryState Offer(QueueEntry entry, TimeSpan now, bool rejectWhenFull = false)
    {
        ArgumentNullException.ThrowIfNull(entry);
        if (entry.State != EntryState.New)
            throw new InvalidOperationException("The entry was offered before.");
        if (!entry.Alone && entry.Rows > _maxEntryRows)
            throw new ArgumentException($"An entry of {entry.Rows} rows is larger than a batch of {_maxEntryRows}; split it.", nameof(entry));
        entry.ArrivedAt = entry.AgesFrom = now;
        entry.Sequence = _sequence++;
        var enters = _outside.First is null && HasRoomFor(entry);
        if (!enters && rejectWhenFull)
            return entry.State = EntryState.Gone;
        Count++;
        if (entry.Deadline is { } deadline)
            _deadlines.Add(entry, deadline);
        if (enters)
            Enter(entry);
        else
            WaitOutside(entry);
        return entry.State;
    }

    /// <summary>Takes an entry out, because nobody waits for it any more. False where it is gone already.</summary>
    public bool Remove(QueueEntry entry)
    {
        ArgumentNullException.ThrowIfNull(entry);
        if (entry.State is not (EntryState.Waiting or EntryState.Queued))
            return false;
        Leave(entry);
        LetIn();
        return true;
    }

    /// <summary>Takes out every entry whose deadline has come; those that run late stay, behind the others.</summary>
    public IReadOnlyList<QueueEntry> TakeExpired(TimeSpan now)
    {
        if (_deadlines.Next is not { } next || next > now)
            return [];
        List<QueueEntry> expired = [];
        while (_deadlines.TakeDue(now) is { } entry)
        {
            if (entry.RunLate)
            {
                Demote(entry, now);
                continue;
            }

            Leave(entry);
            expired.Add(entry);
        }

        LetIn();
        return expired;
    }

    /// <summary>Closes the best batch that may be closed now, for an instance that is idle. Null where there is none. Call <see cref="TakeExpired"/> first.</summary>
    public ClosedBatch? TakeBatch(TimeSpan now)
    {
        var lane = BestLane(now);
        if (lane is null)
            return null;
        var single = lane.Head(now, Limits.Ageing);
        if (single.Alone)
        {
            Leave(single);
            LetIn();
            return new([single], single.Rows, CloseReason.Single);
        }

        var preferred = PreferredSize(lane.Rows);
        var reason = lane.Rows >= Limits.MaxBatchSize ? CloseReason.Full
            : preferred > 0 ? CloseReason.Preferred
            : Limits.MaxQueueDelay == TimeSpan.Zero || Draining ? CloseReason.Idle
            : lane.OldestArrival + Limits.MaxQueueDelay > now ? CloseReason.Deadline
            : CloseReason.Delay;
        var most = reason == CloseReason.Preferred ? preferred : Limits.MaxBatchSize;
        List<QueueEntry> taken = [];
        var rows = 0;
        while (!lane.IsEmpty && lane.Head(now, Limits.Ageing) is var head && (rows == 0 || rows + head.Rows <= most))
        {
            rows += head.Rows;
            taken.Add(head);
            Leave(head);
        }

        LetIn();
        return new(taken, rows, reason);
    }

    /// <summary>When, at the latest, an idle instance must look for a batch: the past where one can be closed now, null where nothing waits inside.</summary>
    public TimeSpan? NextBatchAt()
    {
        TimeSpan? next = null;
        foreach (var lane in _lanes.Values)
        {
            var at = ClosesAt(lane);
            if (next is null || at < next)
                next = at;
        }

        return next;
    }

    /// <summary>The earliest deadline of what waits, or null.</summary>
    public TimeSpan? NextDeadline() => _deadlines.Next;

    private BatchLane? BestLane(TimeSpan now)
    {
        BatchLane? best = null;
        foreach (var lane in _lanes.Values)
        {
            if (ClosesAt(lane) <= now && (best is null || lane.Head(now, Limits.Ageing).GoesBefore(best.Head(now, Limits.Ageing), now, Limits.Ageing)))
                best = lane;
        }

        return best;
    }

    /// <summary>The largest preferred size that <paramref name="rows"/> reach, or 0.</summary>
    private int PreferredSize(int rows)
    {
        var largest = 0;
        foreach (var size in Limits.PreferredSizes)
        {
            if (size <= rows && size > largest && size <= Limits.MaxBatchSize)
                largest = size;
        }

        return largest;
    }

    private TimeSpan ClosesAt(BatchLane lane)
    {
        if (Draining || Limits.MaxQueueDelay == TimeSpan.Zero || lane.Rows >= Limits.MaxBatchSize || lane.Key == QueueEntry.AloneLane || PreferredSize(lane.Rows) > 0)
            return TimeSpan.MinValue;
        var full = lane.OldestArrival + Limits.MaxQueueDelay;
        return lane.EarliestDeadline is { } deadline && deadline - Limits.DeadlineLead < full ? deadline - Limits.DeadlineLead : full;
    }

    /// <summary>Rows inside that go before an entry of <paramref name="priority"/> that would come now, ageing left aside.</summary>
    public int RowsAhead(int priority)
    {
        var rows = 0;
        for (var level = priority + 1; level < _rowsByLevel.Length; level++)
            rows += _rowsByLevel[level];
        return rows;
    }

    private bool HasRoomFor(QueueEntry entry) => Rows == 0 || ((long)Rows + entry.Rows <= Limits.MaxRows && Bytes + entry.Bytes <= Limits.MaxBytes);

    private void Demote(QueueEntry entry, TimeSpan now)
    {
        _deadlines.Forget();
        if (entry.State == EntryState.Waiting)
        {
            entry.BecomeLate(now, _sequence++);
            return;
        }

        var lane = _lanes[entry.Lane];
        lane.Remove(entry);
        _rowsByLevel[entry.Level] -= entry.Rows;
        entry.BecomeLate(now, _sequence++);
        _rowsByLevel[entry.Level] += entry.Rows;
        lane.Add(entry);
    }

    private void WaitOutside(QueueEntry entry)
    {
        entry.State = EntryState.Waiting;
        _outside.Append(entry);
    }

    private void LetIn()
    {
        while (_outside.First is { } first && HasRoomFor(first))
        {
            _outside.Remove(first);
            Enter(first);
        }
    }

    private void Enter(QueueEntry entry)
    {
        entry.State = EntryState.Queued;
        var lane = _lastLane;
        if (lane is null || !string.Equals(lane.Key, entry.Lane, StringComparison.Ordinal))
        {
            if (!_lanes.TryGetValue(entry.Lane, out lane))
                _lanes.Add(entry.Lane, lane = new(entry.Lane));
            _lastLane = lane;
        }

        lane.Add(entry);
        _rowsByLevel[entry.Level] += entry.Rows;
        Rows += entry.Rows;
        Bytes += entry.Bytes;
    }

    private void Leave(QueueEntry entry)
    {
        if (entry.State == EntryState.Waiting)
        {
            _outside.Remove(entry);
        }
        else
        {
            var lane = _lanes[entry.Lane];
            lane.Remove(entry);
            _rowsByLevel[entry.Level] -= entry.Rows;
            Rows -= entry.Rows;
            Bytes -= entry.Bytes;
            if (lane.IsEmpty)
            {
                _lanes.Remove(entry.Lane);
                if (ReferenceEquals(_lastLane, lane))
                    _lastLane = null;
            }
        }

        entry.State = EntryState.Gone;
        Count--;
        // What is late has left the deadlines already.
        if (entry.Deadline is not null && !entry.IsLate)
            _deadlines.Forget();
    }
}
