using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Deployment;

namespace QueueMaaS.Unit.Tests;

public sealed class RolloutJudgeTests
{
    [Fact]
    public void A_rate_at_its_limit_is_seldom_called_above_it_however_often_one_looks()
    {
        var random = new Random(7);
        var alarms = 0;
        for (var run = 0; run < 400; run++)
        {
            var events = 0;
            for (var trial = 1; trial <= 1000; trial++)
            {
                if (random.NextDouble() < 0.05)
                    events++;
                if (SequentialTest.IsAbove(events, trial, 0.05))
                {
                    alarms++;
                    break;
                }
            }
        }

        // 1 % of 400 are 4; ten or more would come of a test that keeps its word once in two hundred times.
        alarms.ShouldBeLessThan(10);
    }

    [Theory]
    [InlineData(1, 1, 0.02, false)]
    [InlineData(10, 10, 0.02, true)]
    [InlineData(100, 1000, 0.05, true)]
    [InlineData(50, 1000, 0.05, false)]
    [InlineData(0, 1000, 0.05, false)]
    [InlineData(1, 1000, 0, true)]
    [InlineData(5, 5, 1, false)]
    public void What_is_clear_is_seen_and_what_is_not_is_not(long events, long trials, double limit, bool above) => SequentialTest.IsAbove(events, trials, limit).ShouldBe(above);

    [Fact]
    public void Durations_are_known_to_two_percent_and_add_up_over_processes()
    {
        var random = new Random(3);
        double[] values = [.. Enumerable.Range(0, 20_000).Select(_ => Math.Exp((random.NextDouble() * 8) - 3)).Order()];
        var (one, two, both) = (new LatencySketch(), new LatencySketch(), new LatencySketch());
        foreach (var (index, value) in values.Index())
            (index % 3 == 0 ? one : two).Add(value);
        both.Add(one.ToPairs());
        both.Add(two.ToPairs());
        both.Count.ShouldBe(values.Length);
        foreach (var share in (double[])[0.01, 0.5, 0.9, 0.99, 0.999])
        {
            var exact = values[(int)Math.Ceiling(share * values.Length) - 1];
            both.Quantile(share)!.Value.ShouldBeInRange(exact * 0.979, exact * 1.021);
            ((double)both.LongerThan(exact)).ShouldBeInRange((values.Length * (1 - share)) - 200, (values.Length * (1 - share)) + 200);
        }

        new LatencySketch().Quantile(0.5).ShouldBeNull();
    }

    [Fact]
    public void A_version_as_good_as_production_passes_a_worse_one_fails_and_little_traffic_waits()
    {
        var request = new RolloutRequest { Version = 2, MinRequests = 200, MinSeconds = 10, MaxSeconds = 100, ErrorRate = new() { MaxIncrease = 0 }, Latency = new() { MaxFactor = 1.5 } };
        var production = Counts(2000, 40, 10);
        Judge(Counts(100, 2, 10), 20).ShouldBe(RolloutVerdict.Wait);
        Judge(Counts(400, 8, 10), 5).ShouldBe(RolloutVerdict.Wait);
        Judge(Counts(400, 8, 10), 20).ShouldBe(RolloutVerdict.Pass);
        Judge(Counts(400, 60, 10), 1).ShouldBe(RolloutVerdict.Fail);
        Judge(Counts(400, 8, 30), 1).ShouldBe(RolloutVerdict.Fail);
        // Somewhat worse: not shown beyond doubt, but not good enough either.
        Judge(Counts(400, 17, 10), 20).ShouldBe(RolloutVerdict.Wait);
        Judge(Counts(400, 17, 10), 100).ShouldBe(RolloutVerdict.Fail);
        Judge(Counts(100, 2, 10), 100).ShouldBe(RolloutVerdict.Fail);

        RolloutVerdict Judge(ServedCounts canary, double seconds) => RolloutJudge.Judge(request, canary, production, TimeSpan.FromSeconds(seconds)).Verdict;
    }

    private static ServedCounts Counts(int requests, int errors, double milliseconds)
    {
        var counts = new ServedCounts { Requests = requests, Errors = errors };
        for (var i = 0; i < requests - errors; i++)
            counts.Latency.Add(milliseconds);
        return counts;
    }
}
