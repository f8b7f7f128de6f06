namespace QueueMaaS.Unit.Tests;

/// <summary>The promises of the job's life over all orders of events; and that the search would see a missing fence.</summary>
public sealed class JobLifeExplorationTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task No_order_of_claims_renewals_ends_expiries_and_requests_breaks_a_promise(bool isEager)
    {
        await using var exploration = new JobLifeExploration(withFence: true, isEager);
        var (states, broken) = await exploration.RunAsync(depth: 6);
        broken.ShouldBeNull();
        states.ShouldBeGreaterThan(50);
    }

    [Fact]
    public async Task Without_the_fence_a_stale_worker_is_found_writing()
    {
        await using var exploration = new JobLifeExploration(withFence: false);
        (await exploration.RunAsync(depth: 6)).Broken.ShouldNotBeNull().ShouldContain("after its lease was taken over");
    }
}
