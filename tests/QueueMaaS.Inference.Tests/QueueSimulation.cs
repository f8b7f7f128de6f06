using QueueMaaS.Inference.Batching;
using static QueueMaaS.Inference.Tests.BatchQueueTests;

namespace QueueMaaS.Inference.Tests;

/// <summary>Random arrivals, cancellations, clock ticks and idle instances, held against a plain list of what should be waiting.</summary>
internal sealed class QueueSimulation
{
    private readonly Random _random;
    private readonly BatchQueueLimits _limits;
    private readonly BatchQueue _queue;
    private readonly List<Entry> _waiting = [];
    private readonly Dictionary<Entry, string> _fate = [];
    private TimeSpan _now;
    private int _offered;

    public QueueSimulation(int seed)
    {
        _random = new(seed);
        var size = _random.Next(1, 9);
        _limits = new(size, TimeSpan.FromMilliseconds(_random.Next(2) * _random.Next(1, 10)), _random.Next(8, 40))
        {
            PreferredSizes = _random.Next(3) == 0 ? [_random.Next(1, size + 1)] : [],
            MaxBytes = _random.Next(2) == 0 ? long.MaxValue : _random.Next(50, 400),
            Ageing = TimeSpan.FromMilliseconds(_random.Next(1, 20)),
            DeadlineLead = TimeSpan.FromMilliseconds(_random.Next(1, 3)),
        };
        _queue = new(_limits);
    }

    public void Run(int steps)
    {
        for (var i = 0; i < steps; i++)
        {
            switch (_random.Next(10))
            {
                case < 5:
                    Arrive();
                    break;
                case 5:
                    Cancel();
                    break;
                case 6:
                    _now += TimeSpan.FromMilliseconds(_random.Next(1, 4));
                    Expire();
                    break;
                default:
                    Serve();
                    break;
            }

            Check();
        }

        _queue.Draining = true;
        Expire();
        while (_waiting.Count > 0)
        {
            Serve().ShouldBeTrue("a draining queue always gives a batch while anything waits");
            Check();
        }

        _fate.Count.ShouldBe(_offered, "no entry is lost");
    }

    private void Arrive()
    {
        var alone = _random.Next(15) == 0;
        var entry = new Entry(
            $"{_offered++}", $"lane{_random.Next(3)}", _random.Next(1, _limits.MaxBatchSize + 1 + (alone ? 20 : 0)), _random.Next(10),
            _random.Next(4) == 0 ? (int)_now.TotalMilliseconds + _random.Next(1, 12) : null, alone, bytes: _random.Next(60), runLate: _random.Next(3) == 0);
        if (_queue.Offer(entry, _now, rejectWhenFull: _random.Next(3) == 0) == EntryState.Gone)
            _fate.Add(entry, "rejected");
        else
            _waiting.Add(entry);
    }

    private void Cancel()
    {
        if (_waiting.Count == 0)
            return;
        var entry = _waiting[_random.Next(_waiting.Count)];
        _queue.Remove(entry).ShouldBeTrue();
        Finish(entry, "cancelled");
    }

    private void Expire()
    {
        var due = _waiting.Where(e => e.Deadline <= _now && !e.RunLate).ToHashSet();
        var expired = _queue.TakeExpired(_now).Cast<Entry>().ToList();
        expired.ToHashSet().SetEquals(due).ShouldBeTrue("exactly the entries that are due expire");
        expired.ForEach(e => Finish(e, "expired"));
        _waiting.Where(e => e.RunLate && e.Deadline <= _now).ShouldAllBe(e => e.IsLate, "what runs late stands behind the others");
    }

    private bool Serve()
    {
        Expire();
        var inside = _waiting.Where(e => e.State == EntryState.Queued).ToList();
        var batch = _queue.TakeBatch(_now);
        if (batch is null)
        {
            inside.ShouldAllBe(e => e.ArrivedAt + _limits.MaxQueueDelay > _now, "nothing waits beyond the delay while an instance is idle");
            inside.Where(e => !e.IsLate).ShouldAllBe(e => e.Deadline == null || e.Deadline - _limits.DeadlineLead > _now, "nothing waits for mates until its deadline has passed");
            if (_limits.MaxQueueDelay == TimeSpan.Zero)
                inside.ShouldBeEmpty();
            return false;
        }

        var taken = batch.Entries.Cast<Entry>().ToList();
        batch.Rows.ShouldBe(taken.Sum(e => e.Rows));
        taken.Select(e => e.Lane).Distinct().Count().ShouldBe(1);
        if (batch.Reason == CloseReason.Single)
            taken.ShouldHaveSingleItem().Alone.ShouldBeTrue();
        else
            batch.Rows.ShouldBeLessThanOrEqualTo(_limits.MaxBatchSize);
        var ranked = inside.Where(e => e.Lane == taken[0].Lane).OrderByDescending(Rank).ThenBy(e => e.Sequence).ToList();
        taken.ShouldBe(ranked.Take(taken.Count), "within a lane the highest rank goes first, and equal ones in order of arrival");
        if (batch.Reason == CloseReason.Preferred)
            batch.Rows.ShouldBeLessThanOrEqualTo(Math.Max(taken[0].Rows, _limits.PreferredSizes.Max()));
        if (batch.Reason == CloseReason.Deadline)
            inside.ShouldContain(e => e.Deadline - _limits.DeadlineLead <= _now, "only a deadline that is near closes a batch for it");
        if (batch.Reason == CloseReason.Full)
        {
            var next = ranked.ElementAtOrDefault(taken.Count);
            (batch.Rows + (next?.Rows ?? 0)).ShouldBeGreaterThanOrEqualTo(_limits.MaxBatchSize);
        }

        taken.ForEach(e => Finish(e, "served"));
        return true;
    }

    /// <summary>Priority and one, or 0 where it is late, and one more for each time of ageing.</summary>
    private long Rank(Entry entry) => (entry.IsLate ? 0 : entry.Priority + 1) + ((_now - entry.AgesFrom).Ticks / _limits.Ageing.Ticks);

    private void Finish(Entry entry, string fate)
    {
        _fate.TryAdd(entry, fate).ShouldBeTrue("no entry leaves twice");
        _waiting.Remove(entry).ShouldBeTrue();
        entry.State.ShouldBe(EntryState.Gone);
    }

    private void Check()
    {
        _queue.Count.ShouldBe(_waiting.Count);
        var inside = _waiting.Where(e => e.State == EntryState.Queued).ToList();
        _queue.Rows.ShouldBe(inside.Sum(e => e.Rows));
        _queue.Bytes.ShouldBe(inside.Sum(e => e.Bytes));
        if (inside.Count > 1)
            _queue.Bytes.ShouldBeLessThanOrEqualTo(Math.Max(_limits.MaxBytes, inside.Max(e => e.Bytes)), "memory is bounded");
        if (inside.Count > 1)
            _queue.Rows.ShouldBeLessThanOrEqualTo(Math.Max(_limits.MaxRows, inside.Max(e => e.Rows)));
        if (_waiting.Count > 0)
            inside.ShouldNotBeEmpty("what waits outside comes in as soon as there is room");
    }
}
