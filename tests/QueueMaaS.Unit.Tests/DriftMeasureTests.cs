using System.Text.Json;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Deployment;

namespace QueueMaaS.Unit.Tests;

public sealed class DriftMeasureTests
{
    private static readonly DateTimeOffset Now = new(2026, 11, 25, 12, 0, 30, TimeSpan.Zero);

    [Fact]
    public void What_is_drawn_of_the_same_numbers_is_near_and_what_is_not_is_far()
    {
        var random = new Random(5);
        var bins = FeatureBins.OfNumbers("x", Normal(random, 5000, 0));
        bins.Counts.Take(10).ShouldAllBe(count => count > 450 && count < 550);
        for (var run = 0; run < 50; run++)
            DriftMeasure.Psi(bins.Counts, Into(bins, Normal(random, 500, 0))).ShouldBeLessThan(0.1);
        DriftMeasure.Psi(bins.Counts, Into(bins, Normal(random, 500, 1))).ShouldBeGreaterThan(0.5);
        DriftMeasure.Psi(bins.Counts, Into(bins, [.. Enumerable.Repeat(double.NaN, 500)])).ShouldBeGreaterThan(1, "numbers that are missing have a bin of their own");
    }

    [Fact]
    public void Few_values_have_a_bin_each_and_categories_that_are_new_one_together()
    {
        var few = FeatureBins.OfNumbers("x", [1, 1, 2, 5, 5, 5]);
        few.Counts.ShouldBe([2, 1, 3, 0]);
        (few.BinOf(1.4), few.BinOf(1.6), few.BinOf(100), few.BinOf(double.NaN)).ShouldBe((0, 1, 2, 3));
        FeatureBins.OfNumbers("same", [7, 7, 7]).Counts.ShouldBe([3, 0]);
        var categories = FeatureBins.OfCategories("c", ["red", "blue"], [0, 0, 1, -1]);
        categories.Counts.ShouldBe([2, 1, 1]);
        (categories.BinOf(1), categories.BinOf(-1), categories.BinOf(9)).ShouldBe((1, 2, 2));
    }

    [Fact]
    public void Counts_of_workers_and_of_two_windows_are_added_up_and_older_ones_are_not()
    {
        var baseline = Baseline();
        var (this_, before, older) = (baseline.WindowOf(Now), baseline.WindowOf(Now.AddSeconds(-60)), baseline.WindowOf(Now.AddSeconds(-120)));
        TrafficSummary[] summaries = [Counted("one", this_, 10), Counted("two", this_, 20), Counted("one", before, 5), Counted("one", older, 1000)];
        DriftMeasure.Sum(baseline, summaries, Now).Rows.ShouldBe(35);
        DriftMeasure.Sum(baseline, summaries, Now).Counts[0].ShouldBe([35, 0, 0]);
    }

    [Fact]
    public void A_state_changes_only_by_enough_rows_and_comes_back_only_when_it_is_clearly_better()
    {
        var baseline = Baseline();
        DriftState After(DriftState before, long first, long second)
        {
            var served = new DriftData(first + second, [[first, second, 0]]);
            return DriftMeasure.Next(before, baseline, served, DriftMeasure.Features(baseline, served));
        }

        After(DriftState.Waiting, 30, 30).ShouldBe(DriftState.Waiting);
        After(DriftState.Waiting, 500, 500).ShouldBe(DriftState.Steady);
        After(DriftState.Steady, 900, 100).ShouldBe(DriftState.Drifting);
        After(DriftState.Drifting, 80, 10).ShouldBe(DriftState.Drifting);
        After(DriftState.Drifting, 500, 500).ShouldBe(DriftState.Steady);
        // An index of about 0.18: below the threshold of 0.2, but not clearly.
        After(DriftState.Drifting, 7100, 2900).ShouldBe(DriftState.Drifting);
        After(DriftState.Steady, 7100, 2900).ShouldBe(DriftState.Steady);
    }

    private static DriftBaseline Baseline() => new(new() { WindowSeconds = 60, MinRows = 100 }, "test", 100_000, [new("x", [0], null, [50_000, 50_000, 0])]);

    private static TrafficSummary Counted(string worker, string window, int rows) =>
        new() { WatchId = "w", Part = window, Worker = worker, Data = JsonSerializer.Serialize(new DriftData(rows, [[rows, 0, 0]]), QueueMaaSJson.Relaxed), ChangedAt = Now };

    private static double[] Normal(Random random, int count, double mean) =>
        [.. Enumerable.Range(0, count).Select(_ => mean + (Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble())))];

    private static long[] Into(FeatureBins bins, double[] values)
    {
        var counts = new long[bins.Counts.Count];
        foreach (var value in values)
            counts[bins.BinOf(value)]++;
        return counts;
    }
}
