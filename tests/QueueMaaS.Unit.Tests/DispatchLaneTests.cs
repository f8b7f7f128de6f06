using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Dispatch;
using QueueMaaS.Jobs.Life;

namespace QueueMaaS.Unit.Tests;

/// <summary>What goes to the broker together, and when.</summary>
public sealed class DispatchLaneTests
{
    private const int Pack = 4;
    private readonly DispatchLane _lane = new(JobKind.Inference, PriorityClass.Normal, window: 10, TimeSpan.FromSeconds(30), quantum: 1);

    [Fact]
    public void One_job_alone_goes_at_once()
    {
        Wait(1);
        _lane.Take(Pack).ShouldBe(["1"]);
    }

    [Fact]
    public void What_comes_while_a_pack_is_under_way_goes_together_once_that_is_confirmed()
    {
        _lane.Send();
        Wait(3);
        _lane.Take(Pack).ShouldBeEmpty();
        _lane.Sent();
        _lane.Take(Pack).ShouldBe(["1", "2", "3"]);
    }

    [Fact]
    public void A_full_pack_waits_for_no_confirm()
    {
        _lane.Send();
        Wait(5);
        _lane.Take(Pack).Count.ShouldBe(Pack);
        _lane.Take(Pack).ShouldBeEmpty();
        _lane.Waiting.ShouldBe(1);
    }

    [Fact]
    public void Of_kinds_that_go_singly_none_waits_for_anothers_confirm()
    {
        _lane.Send();
        Wait(2);
        _lane.Take(1).ShouldBe(["1"]);
        _lane.Take(1).ShouldBe(["2"]);
    }

    [Fact]
    public void No_more_than_the_window_lies_in_the_broker()
    {
        Wait(12);
        for (var i = 0; i < 9; i++)
            _lane.Enter();
        _lane.Take(Pack).Count.ShouldBe(1);
        _lane.Enter();
        _lane.Take(Pack).ShouldBeEmpty();
        _lane.Leave();
        _lane.Take(Pack).Count.ShouldBe(1);
    }

    [Fact]
    public void Long_jobs_go_singly_and_wait_for_no_confirm_so_that_all_workers_get_some()
    {
        _lane.Send();
        Wait(3, seconds: 2);
        _lane.Take(Pack).ShouldBe(["1"]);
        _lane.Take(Pack).ShouldBe(["2"]);
        _lane.Take(Pack).ShouldBe(["3"]);
        _lane.Take(Pack).ShouldBeEmpty();
    }

    [Fact]
    public void A_pack_holds_some_fifty_milliseconds_of_predicted_computing()
    {
        Wait(4, seconds: 0.02);
        _lane.Take(Pack).ShouldBe(["1", "2", "3"]);
        _lane.Take(Pack).ShouldBe(["4"]);
    }

    private void Wait(int jobs, double seconds = 0.001)
    {
        for (var i = 1; i <= jobs; i++)
            _lane.Add(new JobPointer($"{i}", JobKind.Inference, 5, "default", null, DateTimeOffset.UnixEpoch.AddSeconds(i)), weight: 1, cost: seconds);
    }
}
