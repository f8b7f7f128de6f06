using QueueMaaS.Contracts;
using QueueMaaS.Training.Running;

namespace QueueMaaS.Training.Tests;

public sealed class TrainerTests
{
    [Fact]
    public async Task It_learns_what_is_easy_and_reports_every_epoch()
    {
        var data = Samples.Images(200);
        var reports = new List<TrainingProgress>();
        var trained = await new Trainer().TrainAsync(Samples.Plan(data, Samples.Settings(epochs: 3)), new() { Report = reports.Add });
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
        var trained = new Trainer().Train(Samples.Plan(Samples.Images(200), Samples.Settings(epochs: 6, learningRate: 0.05, optimizer: "sgd")));
        using var model = trained.Model;
        trained.Final.Accuracy.ShouldBe(1);
    }

    [Fact]
    public void A_loss_that_is_no_number_ends_the_training_and_names_the_step()
    {
        var problem = Samples.ShouldFail(
            () => new Trainer().Train(Samples.Plan(Samples.Images(400), Samples.Settings(epochs: 50, learningRate: 10, optimizer: "sgd"))), ProblemCodes.TrainingDiverged);
        problem.Message.ShouldContain("learningRate");
        problem.Details!["step"].GetInt32().ShouldBeGreaterThan(0);
    }

    [Fact]
    public void Cancelling_stops_within_one_step()
    {
        using var stop = new CancellationTokenSource();
        long steps = 0;
        Should.Throw<OperationCanceledException>(() => new Trainer().Train(
            Samples.Plan(Samples.Images(200), Samples.Settings(epochs: 10)),
            new()
            {
                AfterStep = done =>
                {
                    steps = done;
                    if (done == 5)
                        stop.Cancel();
                },
            },
            stop.Token));
        steps.ShouldBe(5);
    }

    [Fact]
    public void What_the_hook_throws_ends_the_training()
    {
        Should.Throw<InvalidOperationException>(() => new Trainer().Train(
            Samples.Plan(Samples.Images(200), Samples.Settings(epochs: 10)), new() { AfterStep = done => throw new InvalidOperationException($"stop at {done}") })).Message.ShouldBe("stop at 1");
    }

    [Fact]
    public void Images_of_one_class_and_no_images_are_refused()
    {
        var data = Samples.Images(10);
        Array.Fill(data.Labels, 1);
        Samples.ShouldFail(() => Samples.Plan(data, Samples.Settings()), ProblemCodes.DatasetOneClass);
        var tested = Samples.Images(10);
        Array.Fill(tested.Splits, "test");
        Samples.ShouldFail(() => Samples.Plan(tested, Samples.Settings()), ProblemCodes.DatasetEmpty);
    }

    private static float[] Weights(QueueMaaS.Data.Loading.LabelledImages data, long seed) => Samples.Weights(Samples.Plan(data, Samples.Settings(epochs: 2, seed: seed)));
}
