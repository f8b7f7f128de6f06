using QueueMaaS.Inference.Batching;

namespace QueueMaaS.Inference.Tests;

public sealed class BatchQueueTests
{
    private static readonly TimeSpan Ms = TimeSpan.FromMilliseconds(1);

    [Fact]
    public void An_idle_instance_takes_what_there_is_at_once()
    {
        var queue = Queue();
        Offer(queue, new("a"));

        var batch = queue.TakeBatch(Ms)!;

        batch.Reason.ShouldBe(CloseReason.Idle);
        batch.Rows.ShouldBe(1);
        queue.TakeBatch(Ms).ShouldBeNull();
    }

    [Fact]
    public void With_a_delay_a_batch_waits_for_mates_until_its_oldest_is_due()
    {
        var queue = Queue(delay: 5);
        Offer(queue, new("a"), 1);
        Offer(queue, new("b"), 3);

        queue.TakeBatch(5 * Ms).ShouldBeNull();
        queue.NextBatchAt().ShouldBe(6 * Ms);
        var batch = queue.TakeBatch(6 * Ms)!;

        batch.Reason.ShouldBe(CloseReason.Delay);
        batch.Rows.ShouldBe(2);
    }

    [Fact]
    public void A_full_batch_does_not_wait()
    {
        var queue = Queue(delay: 5);
        for (var i = 0; i < 5; i++)
            Offer(queue, new($"{i}"));

        queue.TakeBatch(TimeSpan.Zero)!.ShouldSatisfyAllConditions(b => b.Reason.ShouldBe(CloseReason.Full), b => b.Rows.ShouldBe(4));
        queue.TakeBatch(TimeSpan.Zero).ShouldBeNull();
    }

    [Fact]
    public void Higher_priorities_go_first_and_equal_ones_in_order()
    {
        var queue = Queue();
        foreach (var (name, priority) in (ValueTuple<string, int>[])[("a", 1), ("b", 9), ("c", 1), ("d", 9), ("e", 5)])
            Offer(queue, new(name, priority: priority));

        Names(queue.TakeBatch(Ms)!).ShouldBe(["b", "d", "e", "a"]);
        Names(queue.TakeBatch(Ms)!).ShouldBe(["c"]);
    }

    [Fact]
    public void Shapes_do_not_mix_and_a_busy_lane_does_not_hold_up_a_quiet_one()
    {
        var queue = Queue();
        for (var i = 0; i < 5; i++)
            Offer(queue, new($"busy{i}", lane: "busy"));
        Offer(queue, new("quiet", lane: "quiet"));
        for (var i = 5; i < 9; i++)
            Offer(queue, new($"busy{i}", lane: "busy"));

        Names(queue.TakeBatch(Ms)!).ShouldBe(["busy0", "busy1", "busy2", "busy3"]);
        Names(queue.TakeBatch(Ms)!).ShouldBe(["busy4", "busy5", "busy6", "busy7"]);
        Names(queue.TakeBatch(Ms)!).ShouldBe(["quiet"]);
    }

    [Fact]
    public void An_entry_that_goes_alone_has_no_mates()
    {
        var queue = Queue();
        Offer(queue, new("a"));
        Offer(queue, new("alone", rows: 9, alone: true));
        Offer(queue, new("b"));

        Names(queue.TakeBatch(Ms)!).ShouldBe(["a", "b"]);
        queue.TakeBatch(Ms)!.ShouldSatisfyAllConditions(b => Names(b).ShouldBe(["alone"]), b => b.Reason.ShouldBe(CloseReason.Single));
    }

    [Fact]
    public void Expired_and_removed_entries_are_never_computed()
    {
        var queue = Queue();
        var (late, gone) = (new Entry("late", deadline: 5), new Entry("gone"));
        Offer(queue, late);
        Offer(queue, gone);
        Offer(queue, new("stays"));

        queue.NextDeadline().ShouldBe(5 * Ms);
        queue.TakeExpired(4 * Ms).ShouldBeEmpty();
        queue.TakeExpired(5 * Ms).ShouldBe([late]);
        queue.Remove(gone).ShouldBeTrue();
        queue.Remove(gone).ShouldBeFalse();
        Names(queue.TakeBatch(5 * Ms)!).ShouldBe(["stays"]);
        queue.Rows.ShouldBe(0);
    }

    [Fact]
    public void A_full_queue_lets_entries_wait_outside_or_refuses_them()
    {
        var queue = new BatchQueue(new(4, TimeSpan.Zero, MaxRows: 4));
        Offer(queue, new("a", rows: 4)).ShouldBe(EntryState.Queued);
        Offer(queue, new("b", rows: 3)).ShouldBe(EntryState.Waiting);
        Offer(queue, new("c")).ShouldBe(EntryState.Waiting);
        queue.Offer(new Entry("d"), TimeSpan.Zero, rejectWhenFull: true).ShouldBe(EntryState.Gone);
        queue.Rows.ShouldBe(4);

        Names(queue.TakeBatch(Ms)!).ShouldBe(["a"]);
        Names(queue.TakeBatch(Ms)!).ShouldBe(["b", "c"]);
    }

    [Fact]
    public void A_preferred_size_closes_a_batch_before_its_delay_is_over()
    {
        var queue = new BatchQueue(new(8, 50 * Ms, 100) { PreferredSizes = [2, 4] });
        foreach (var name in (string[])["a", "b", "c", "d", "e"])
            Offer(queue, new(name));

        queue.TakeBatch(TimeSpan.Zero)!.ShouldSatisfyAllConditions(b => b.Rows.ShouldBe(4), b => b.Reason.ShouldBe(CloseReason.Preferred));
        queue.TakeBatch(TimeSpan.Zero).ShouldBeNull();
        queue.TakeBatch(50 * Ms)!.Reason.ShouldBe(CloseReason.Delay);
    }

    [Fact]
    public void A_batch_closes_early_enough_for_the_deadline_of_a_member()
    {
        var queue = new BatchQueue(new(8, 50 * Ms, 100) { DeadlineLead = 2 * Ms });
        Offer(queue, new("patient"));
        Offer(queue, new("urgent", deadline: 10), 1);

        queue.NextBatchAt().ShouldBe(8 * Ms);
        queue.TakeBatch(7 * Ms).ShouldBeNull();
        queue.TakeBatch(8 * Ms)!.ShouldSatisfyAllConditions(b => Names(b).ShouldBe(["patient", "urgent"]), b => b.Reason.ShouldBe(CloseReason.Deadline));
    }

    [Fact]
    public void What_runs_late_goes_after_what_is_in_time()
    {
        var queue = Queue();
        Offer(queue, new("late", priority: 9, deadline: 5, runLate: true));
        Offer(queue, new("in time", priority: 0), 6);

        queue.TakeExpired(6 * Ms).ShouldBeEmpty();
        Names(queue.TakeBatch(6 * Ms)!).ShouldBe(["in time", "late"]);
        queue.Rows.ShouldBe(0);
    }

    [Fact]
    public void Waiting_raises_the_rank_so_that_nothing_starves()
    {
        var queue = new BatchQueue(new(1, TimeSpan.Zero, 1000));
        Offer(queue, new("low", priority: 0));
        for (var s = 0; s < 12; s++)
        {
            Offer(queue, new($"high{s}", priority: 9), s * 1000);
            if (Names(queue.TakeBatch(TimeSpan.FromSeconds(s))!).Single() == "low")
                return;
        }

        throw new InvalidOperationException("The entry of the lowest priority was never computed.");
    }

    [Fact]
    public void Memory_held_by_queued_tensors_is_bounded()
    {
        var queue = new BatchQueue(new(8, TimeSpan.Zero, 100) { MaxBytes = 100 });
        Offer(queue, new("a", bytes: 80)).ShouldBe(EntryState.Queued);
        Offer(queue, new("b", bytes: 30)).ShouldBe(EntryState.Waiting);
        queue.Bytes.ShouldBe(80);

        Names(queue.TakeBatch(Ms)!).ShouldBe(["a"]);
        queue.Bytes.ShouldBe(30);
    }

    [Fact]
    public void Far_deadlines_of_finished_entries_do_not_pile_up()
    {
        var heap = new DeadlineHeap();
        for (var i = 0; i < 1000; i++)
        {
            var entry = new Entry($"{i}", deadline: 1_000_000) { State = EntryState.Queued };
            heap.Add(entry, entry.Deadline!.Value);
            entry.State = EntryState.Gone;
            heap.Forget();
        }

        heap.Held.ShouldBeLessThan(100);
    }

    [Theory]
    [MemberData(nameof(Seeds))]
    public void Every_sequence_of_events_keeps_the_promises(int seed) => new QueueSimulation(seed).Run(2000);

    public static TheoryData<int> Seeds() => [.. Enumerable.Range(1, 60)];

    private static BatchQueue Queue(int delay = 0) => new(new(4, delay * Ms, 1000));

    private static EntryState Offer(BatchQueue queue, Entry entry, int at = 0) => queue.Offer(entry, at * Ms);

    private static IEnumerable<string> Names(ClosedBatch batch) => batch.Entries.Select(e => ((Entry)e).Name);

    internal sealed class Entry(string name, string lane = "", int rows = 1, int priority = 5, int? deadline = null, bool alone = false, long bytes = 0, bool runLate = false)
        : QueueEntry(lane, rows, priority, deadline is { } d ? d * Ms : null, alone, bytes, runLate)
    {
        public string Name { get; } = name;
    }
}
