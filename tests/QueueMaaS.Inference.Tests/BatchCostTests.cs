using QueueMaaS.Inference.Batching;

namespace QueueMaaS.Inference.Tests;

public sealed class BatchCostTests
{
    private static readonly TimeSpan Ms = TimeSpan.FromMilliseconds(1);

    [Fact]
    public void The_cost_of_a_row_and_of_a_call_are_found_from_measured_batches()
    {
        var model = new BatchCostModel();
        foreach (var rows in (int[])[1, 8, 32, 4, 16, 2])
            model.Observe(rows, (3 * Ms) + (0.5 * rows * Ms));

        model.IsFitted.ShouldBeTrue();
        model.PerRow.ShouldBe(0.0005, 1e-9);
        model.PerBatch.ShouldBe(0.003, 1e-9);
        model.Predict(20).TotalMilliseconds.ShouldBe(13, 1e-3);
        model.LargestWithin(10 * Ms, 100).ShouldBe(14);
        model.LargestWithin(Ms, 100).ShouldBe(1);
    }

    [Fact]
    public void A_row_more_never_saves_time_whatever_was_measured()
    {
        var random = new Random(1);
        var model = new BatchCostModel();
        for (var i = 0; i < 1000; i++)
        {
            model.Observe(random.Next(1, 64), random.NextDouble() * 10 * Ms);
            model.PerRow.ShouldBeGreaterThanOrEqualTo(0);
            model.PerBatch.ShouldBeGreaterThanOrEqualTo(0);
        }
    }

    [Fact]
    public void The_model_follows_a_machine_that_grows_busy()
    {
        var model = new BatchCostModel();
        for (var i = 0; i < 200; i++)
            model.Observe(1 + (i % 32), Ms + ((1 + (i % 32)) * 0.1 * Ms));
        for (var i = 0; i < 200; i++)
            model.Observe(1 + (i % 32), (3 * Ms) + ((1 + (i % 32)) * 0.4 * Ms));

        model.Predict(10).TotalMilliseconds.ShouldBe(7, 0.1);
    }

    [Fact]
    public void The_tuner_chooses_batches_that_meet_the_target_and_grows_them_again_when_there_is_room()
    {
        var cost = new BatchCostModel();
        for (var i = 1; i <= 32; i++)
            cost.Observe(i, Ms + (i * Ms));
        var tuner = new LatencyTuner(20 * Ms, 64);
        tuner.BatchSize.ShouldBe(64);

        for (var i = 0; i < 2000; i++)
            tuner.Observe(2 * cost.Predict(tuner.BatchSize), cost);

        (2 * cost.Predict(tuner.BatchSize)).ShouldBeLessThanOrEqualTo(20 * Ms);
        tuner.BatchSize.ShouldBeGreaterThanOrEqualTo(6);
        var chosen = tuner.BatchSize;
        for (var i = 0; i < 400; i++)
            tuner.Observe(100 * Ms, cost);
        tuner.BatchSize.ShouldBeLessThan(chosen);
        for (var i = 0; i < 20_000; i++)
            tuner.Observe(Ms, cost);
        tuner.BatchSize.ShouldBe(9);
    }

    [Fact]
    public void Answers_are_given_in_the_order_of_arrival_however_they_come()
    {
        var order = new OrderedAnswers();
        var places = Enumerable.Range(0, 100).Select(_ => order.Enter()).ToArray();
        var given = new List<int>();
        foreach (var i in Enumerable.Range(0, 100).OrderBy(i => (i * 37) % 100))
            order.Give(places[i], () => given.Add(i));

        given.ShouldBe(Enumerable.Range(0, 100));
    }
}
