using QueueMaaS.Jobs.Execution;
using QueueMaaS.Training.Running;

namespace QueueMaaS.Training.Tests;

/// <summary>A training stands back while there is inference to do, and keeps its share.</summary>
public sealed class InferenceFirstTests
{
    [Fact]
    public void Without_inference_it_goes_on_at_once()
    {
        var time = new SteppedTime();
        var first = new InferenceFirst(new Demand(_ => 0), 0.25, time);
        time.Pass(1000);
        first.StandBack(CancellationToken.None);
        time.Looks.ShouldBeLessThanOrEqualTo(4);
    }

    [Fact]
    public void While_inference_goes_on_it_waits_for_the_rest_of_its_share_and_no_longer()
    {
        var time = new SteppedTime { Step = 1 };
        var demand = new Demand(_ => 3);
        var first = new InferenceFirst(demand, 0.25, time);
        time.Pass(10);
        var before = time.Milliseconds;
        first.StandBack(CancellationToken.None);
        // Ten units of work, a quarter of the time: about thirty of standing back.
        (time.Milliseconds - before).ShouldBeInRange(25, 40);
    }

    [Fact]
    public void It_goes_on_as_soon_as_inference_is_done()
    {
        var time = new SteppedTime { Step = 1 };
        var demand = new Demand(asked => asked < 4 ? 1 : 0);
        var first = new InferenceFirst(demand, 0.01, time);
        time.Pass(100);
        first.StandBack(CancellationToken.None);
        demand.Asked.ShouldBe(4);
    }

    [Fact]
    public void Cancelling_ends_the_wait()
    {
        using var stop = new CancellationTokenSource();
        stop.Cancel();
        var demand = new Demand(_ => 1);
        var time = new SteppedTime();
        var first = new InferenceFirst(demand, 0.01, time);
        time.Pass(1000);
        first.StandBack(stop.Token);
        demand.Asked.ShouldBe(1);
    }

    private sealed class Demand(Func<int, int> requests) : IInferenceDemand
    {
        public int Asked { get; private set; }

        public int Requests => requests(++Asked);
    }

    /// <summary>Time that goes on by a step whenever it is looked at.</summary>
    private sealed class SteppedTime : TimeProvider
    {
        public long Milliseconds { get; private set; }

        public int Looks { get; private set; }

        public long Step { get; init; }

        public override long TimestampFrequency => 1000;

        public void Pass(long milliseconds) => Milliseconds += milliseconds;

        public override long GetTimestamp()
        {
            Looks++;
            return Milliseconds += Step;
        }
    }
}
