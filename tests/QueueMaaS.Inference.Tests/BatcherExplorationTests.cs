using QueueMaaS.Inference.Batching;

namespace QueueMaaS.Inference.Tests;

public sealed class BatcherExplorationTests
{
    [Theory]
    [InlineData(2, 0, 1, false)]
    [InlineData(2, 5, 1, false)]
    [InlineData(4, 0, 2, false)]
    [InlineData(3, 0, 2, true)]
    public void In_every_order_of_events_each_request_is_answered_once_and_rightly(int maxBatchSize, int delayMs, int instances, bool ordered)
    {
        var settings = new BatcherSettings { Model = "m", Version = 1, MaxBatchSize = maxBatchSize, MaxQueueDelay = TimeSpan.FromMilliseconds(delayMs), PreserveOrdering = ordered };
        var exploration = new BatcherExploration(settings, instances);

        exploration.Run(most: 60_000);

        exploration.Orders.ShouldBeGreaterThan(1000);
        TestContext.Current.TestOutputHelper?.WriteLine($"{exploration.Orders} orders of events");
    }
}
