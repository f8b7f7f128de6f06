using QueueMaaS.Jobs.Dispatch;

namespace QueueMaaS.Unit.Tests;

/// <summary>Shares between tenants, and order within one.</summary>
public sealed class FairQueueTests
{
    [Fact]
    public void A_tenant_that_comes_after_a_flood_gets_its_turn_at_once()
    {
        var queue = new FairQueue<string>(quantum: 4);
        for (var i = 0; i < 1000; i++)
            queue.Enqueue("flood", 1, cost: 1, urgency: i, "flood");
        queue.Enqueue("late", 1, cost: 1, urgency: 0, "late");
        Take(queue, 5).ShouldContain("late");
    }

    [Fact]
    public void Tenants_share_predicted_time_and_not_numbers_of_jobs()
    {
        var queue = new FairQueue<string>(quantum: 1);
        for (var i = 0; i < 1000; i++)
        {
            queue.Enqueue("heavy", 1, cost: 1, urgency: i, "heavy");
            queue.Enqueue("light", 1, cost: 0.1, urgency: i, "light");
        }

        var taken = Take(queue, 550);
        var (heavy, light) = (taken.Count(item => item == "heavy") * 1.0, taken.Count(item => item == "light") * 0.1);
        heavy.ShouldBe(light, tolerance: 2);
    }

    [Fact]
    public void A_weight_of_three_gives_three_times_the_share()
    {
        var queue = new FairQueue<string>(quantum: 1);
        for (var i = 0; i < 1000; i++)
        {
            queue.Enqueue("three", 3, cost: 1, urgency: i, "three");
            queue.Enqueue("one", 1, cost: 1, urgency: i, "one");
        }

        Take(queue, 400).Count(item => item == "three").ShouldBeInRange(297, 303);
    }

    [Fact]
    public void An_item_dearer_than_a_turn_is_saved_up_for()
    {
        var queue = new FairQueue<string>(quantum: 1);
        queue.Enqueue("dear", 1, cost: 10, urgency: 0, "dear");
        for (var i = 0; i < 100; i++)
            queue.Enqueue("cheap", 1, cost: 1, urgency: i, "cheap");
        Take(queue, 12).ShouldContain("dear");
    }

    [Fact]
    public void Within_a_tenant_the_most_urgent_goes_first()
    {
        var queue = new FairQueue<int>(quantum: 100);
        foreach (var urgency in (int[])[5, 1, 4, 2, 3])
            queue.Enqueue("t", 1, cost: 1, urgency, urgency);
        Take(queue, 5).ShouldBe([1, 2, 3, 4, 5]);
        queue.TryDequeue(out _).ShouldBeFalse();
        queue.Count.ShouldBe(0);
    }

    private static List<T> Take<T>(FairQueue<T> queue, int count)
    {
        var taken = new List<T>();
        while (taken.Count < count && queue.TryDequeue(out var item))
            taken.Add(item);
        return taken;
    }
}
