using QueueMaaS.Contracts;
using QueueMaaS.Training.Running;
using QueueMaaS.Training.Specification;

namespace QueueMaaS.Training.Tests;

public sealed class TrainerTests
{
    [Fact]
    public async Task It_learns_what_is_easy_and_reports_every_epoch()
    {
        var data = Samples.Images(200);
        var reports = new List<TrainingProgress>();
        var trained = await new ImageTrainer().TrainAsync(data, Samples.Settings(epochs: 3), reports.Add);
        using var model = trained.Model;
        trained.History.Count.ShouldBe(3);
        trained.Final.Accuracy.ShouldBe(1);
        trained.Final.ConfusionMatrix.Sum(row => row.Sum()).ShouldBe(20);
        trained.Final.ConfusionMatrix[0][0].ShouldBe(10);
        reports.Select(r => r.History.Count).Max().ShouldBe(3);
        reports[^1].SecondsLeft.ShouldBe(0);
        reports.ShouldAllBe(r => r.Steps == 12 && r.Epochs == 3);
        trained.History.ShouldAllBe(e => e.ImagesPerSecond > 0 && e.Seconds > 0);
    }

    [Fact]
    public void Two_runs_with_the_same_seed_end_with_the_same_weights()
    {
        var data = Samples.Images(120);
        var first = Weights(data, seed: 5);
        Weights(data, seed: 5).ShouldBe(first);
        Weights(data, seed: 6).ShouldNotBe(first);
    }

    [Fact]
    public async Task Garbage_collected_in_the_middle_of_native_calls_changes_nothing()
    {
        var data = Samples.Images(120);
        var calm = Weights(data, seed: 5);
        using var done = new CancellationTokenSource();
        var collecting = Task.Factory.StartNew(
            () =>
            {
                while (!done.IsCancellationRequested)
                {
                    GC.Collect();
                    GC.WaitForPendingFinalizers();
                }
            },
            CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        try
        {
            Weights(data, seed: 5).ShouldBe(calm);
        }
        finally
        {
            await done.CancelAsync();
            await collecting;
        }
    }

    [Fact]
    public void Sgd_trains_as_well()
    {
        var trained = new ImageTrainer().Train(Samples.Images(200), Samples.Settings(epochs: 6, learningRate: 0.05, optimizer: "sgd"));
        using var model = trained.Model;
        trained.Final.Accuracy.ShouldBe(1);
    }

    [Fact]
    public void A_loss_that_is_no_number_ends_the_training_and_names_the_step()
    {
        var problem = Samples.ShouldFail(
            () => new ImageTrainer().Train(Samples.Images(400), Samples.Settings(epochs: 50, learningRate: 10, optimizer: "sgd")), ProblemCodes.TrainingDiverged);
        problem.Message.ShouldContain("learningRate");
        problem.Details!["step"].GetInt32().ShouldBeGreaterThan(0);
    }

    [Fact]
    public void Cancelling_stops_within_one_step()
    {
        using var stop = new CancellationTokenSource();
        long steps = 0;
        Should.Throw<OperationCanceledException>(() => new ImageTrainer().Train(
            Samples.Images(200), Samples.Settings(epochs: 10), cancellationToken: stop.Token,
            afterStep: done =>
            {
                steps = done;
                if (done == 5)
                    stop.Cancel();
            }));
        steps.ShouldBe(5);
    }

    [Fact]
    public void What_the_hook_throws_ends_the_training()
    {
        Should.Throw<InvalidOperationException>(() => new ImageTrainer().Train(
            Samples.Images(200), Samples.Settings(epochs: 10), afterStep: done => throw new InvalidOperationException($"stop at {done}"))).Message.ShouldBe("stop at 1");
    }

    [Fact]
    public void The_split_is_stratified_seeded_and_gives_every_class_to_both_sides()
    {
        var data = Samples.Images(100, classes: 4);
        var split = DataSplit.Of(data, 0.2, seed: 1);
        (split.Train.Length, split.Validation.Length).ShouldBe((80, 20));
        split.Validation.CountBy(i => data.Labels[i]).ShouldAllBe(c => c.Value == 5);
        split.Train.Intersect(split.Validation).ShouldBeEmpty();
        DataSplit.Of(data, 0.2, seed: 1).Validation.ShouldBe(split.Validation);
        DataSplit.Of(data, 0.2, seed: 2).Validation.ShouldNotBe(split.Validation);
    }

    [Fact]
    public void A_test_split_of_the_data_set_is_what_is_validated_on()
    {
        var data = Samples.Images(100);
        for (var i = 90; i < 100; i++)
            data.Splits[i] = "test";
        var split = DataSplit.Of(data, 0.5, seed: 1);
        split.Validation.ShouldBe(Enumerable.Range(90, 10));
        split.Train.Length.ShouldBe(90);
    }

    [Fact]
    public void Images_of_one_class_and_no_images_are_refused()
    {
        var data = Samples.Images(10);
        Array.Fill(data.Labels, 1);
        Samples.ShouldFail(() => new ImageTrainer().Train(data, Samples.Settings()), ProblemCodes.DatasetOneClass);
        var tested = Samples.Images(10);
        Array.Fill(tested.Splits, "test");
        Samples.ShouldFail(() => new ImageTrainer().Train(tested, Samples.Settings()), ProblemCodes.DatasetEmpty);
    }

    private static float[] Weights(QueueMaaS.Data.Loading.LabelledImages data, long seed)
    {
        var trained = new ImageTrainer().Train(data, Samples.Settings(epochs: 2, seed: seed));
        using var model = trained.Model;
        return [.. model.Weights.SelectMany(p => p.Tensor.detach().contiguous().data<float>().ToArray())];
    }
}
