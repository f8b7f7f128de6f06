using System.Runtime.InteropServices;
using System.Text.Json;
using QueueMaaS.Behaviour.Tests.Setup;
using QueueMaaS.Client;
using QueueMaaS.Contracts;
using QueueMaaS.Data.Arrays;

namespace QueueMaaS.Behaviour.Tests.Cases;

/// <summary>Processes of their own on real servers, killed without warning.</summary>
[Collection("faults")]
public sealed class FaultCases(WorkerProcesses processes) : IClassFixture<WorkerProcesses>
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Inference_jobs_of_a_killed_worker_are_taken_over_and_each_ends_once()
    {
        await processes.Api.UploadModelAsync("double", new MemoryStream(TestModels.Double()), Cancel);
        var first = processes.Start("inference");
        var submitted = await Task.WhenAll(Enumerable.Range(0, 400).Select(async i =>
        {
            // The worker dies while jobs are still coming in.
            if (i == 200)
                first.KillHard();
            return (i, (await processes.Api.SubmitAsync(Requests.Double(i, 1), cancellationToken: Cancel)).Id);
        }));
        processes.Start("inference");
        foreach (var (i, id) in submitted)
        {
            var job = await processes.Api.WaitAsync(id, Cancel);
            Requests.Values(job)[0].ShouldBe(2 * i);
            (await processes.HistoryAsync(id)).Count(e => e.Type == "succeeded").ShouldBe(1);
        }
    }

    [Fact]
    public async Task A_training_job_of_a_killed_worker_goes_on_elsewhere_to_the_same_weights()
    {
        await processes.Api.UploadDatasetAsync("fault-shapes", new MemoryStream(TestImages.Shapes(trainPerClass: 150, testPerClass: 10, corrupt: 0)), Cancel);
        var first = processes.Start("training");
        // States are stored within epochs, too, and the worker is killed after one of those.
        var input = new TrainingInput { Model = "fault", Dataset = "fault-shapes", Epochs = 4, Checkpoints = new() { EveryMinutes = 0.005 }, Optimization = new() { AverageDecay = 0.99 } };
        var job = await processes.Api.SubmitAsync(QueueMaaSClient.Training(input), cancellationToken: Cancel);
        await foreach (var e in processes.Api.EventsAsync(job.Id, cancellationToken: Cancel))
        {
            if (e.Type == "checkpoint" && e.Data!.Value.GetProperty("id").GetString()!.Contains("step", StringComparison.Ordinal))
                break;
        }

        first.KillHard();
        processes.Start("training");
        var done = await processes.Api.WaitAsync(job.Id, Cancel);
        var interrupted = Requests.Output<TrainingOutput>(done);
        interrupted.Version.ShouldBe(1);
        done.Attempt.ShouldBe(2);
        var history = await processes.HistoryAsync(job.Id);
        history.Count(e => e.Type == "succeeded").ShouldBe(1);
        history.ShouldContain(e => e.Reason != null && e.Reason.Contains("stopped renewing its lease"));
        (await processes.Api.GetModelAsync("fault", Cancel)).TrainedBy.ShouldBe(job.Id);

        // The other worker went on from the stored state, to exactly the weights of a training that nothing disturbed.
        var other = await processes.Api.SubmitAsync(QueueMaaSClient.Training(input with { Model = "undisturbed", Checkpoints = null }), cancellationToken: Cancel);
        var undisturbed = Requests.Output<TrainingOutput>(await processes.Api.WaitAsync(other.Id, Cancel));
        interrupted.WeightsArtifact.ShouldBe(undisturbed.WeightsArtifact);
        interrupted.History.Select(e => e.Loss).ShouldBe(undisturbed.History.Select(e => e.Loss));
    }

    [Fact]
    public async Task A_sweep_whose_workers_are_killed_and_added_in_the_middle_ends_as_an_undisturbed_one()
    {
        await processes.Api.UploadDatasetAsync("sweep-fault", new MemoryStream(TestImages.Shapes(trainPerClass: 40, testPerClass: 6, corrupt: 0)), Cancel);
        processes.KillAll("training");
        var first = processes.Start("training");
        var input = JsonElement.Parse("""{"training":{"dataset":"sweep-fault","epochs":3,"batchSize":16,"checkpoints":{"everyMinutes":0.005}},"search":{"method":"random","trials":6,"seed":9,"space":{"learningRate":{"logUniform":[0.0003,0.01]},"optimizer":{"values":["adam","sgd"]}}},"register":"swept"}""");
        var job = await processes.Api.SubmitAsync(new JobSubmission { Kind = JobKind.Sweep, Input = input }, cancellationToken: Cancel);
        // The worker leads the sweep and trains its trials: both are taken over.
        await MeasuredAsync(job.Id, 2);
        first.KillHard();
        // On a fast machine all may have been done before the kill.
        var wasOver = (await processes.GetThroughOutagesAsync(job.Id, wait: 0)).FinishedAt is not null;
        processes.Start("training");
        processes.Start("training");
        var disturbed = await processes.Api.WaitAsync(job.Id, Cancel);
        var history = await processes.HistoryAsync(job.Id);
        if (!wasOver)
            history.ShouldContain(e => e.Reason != null && e.Reason.Contains("stopped renewing its lease"), "the sweep was taken over");
        var other = await processes.Api.SubmitAsync(new JobSubmission { Kind = JobKind.Sweep, Input = input }, cancellationToken: Cancel);
        var (a, b) = (Requests.Output<SweepOutput>(disturbed), Requests.Output<SweepOutput>(await processes.Api.WaitAsync(other.Id, Cancel)));
        a.Leaderboard.Select(t => (t.Trial, t.Metric)).ShouldBe(b.Leaderboard.Select(t => (t.Trial, t.Metric)), "neither a killed worker nor the number of workers changes the outcome");
        (a.Trials, a.Failed, b.Failed, b.Version - a.Version).ShouldBe((6, 0, 0, 1), "one version for each sweep");
        history.Count(e => e.Type == "succeeded").ShouldBe(1);
    }

    private async Task MeasuredAsync(string id, int trials)
    {
        while (true)
        {
            var job = await processes.GetThroughOutagesAsync(id, wait: 1);
            job.State.ShouldNotBe(JobState.Failed, job.Error?.Message);
            if (job.FinishedAt is not null || (job.Progress?.Deserialize<SweepProgress>(QueueMaaSJson.Relaxed) is { } progress && progress.Measured >= trials && progress.Running > 0))
                return;
        }
    }

    [Fact]
    public async Task A_batch_job_whose_worker_broker_and_database_die_in_the_middle_gives_the_same_bytes_as_an_undisturbed_one()
    {
        await processes.Api.UploadModelAsync("batch-fault", new MemoryStream(TestModels.Double()), Cancel);
        var rows = new float[600_000];
        for (var i = 0; i < rows.Length; i++)
            rows[i] = i * 0.25f;
        byte[] file = [.. NpyHeader.Write(Datatypes.Fp32, [rows.Length / 2, 2]), .. MemoryMarshal.AsBytes(rows.AsSpan())];
        var artifact = (await processes.Api.UploadArtifactAsync(new MemoryStream(file), Cancel)).Id;
        var input = new BatchInput { Model = "batch-fault", Artifact = artifact, ChunkSize = 4000, Concurrency = 2 };
        var worker = processes.Start("inference");
        var job = await processes.Api.SubmitAsync(QueueMaaSClient.Batch(input), cancellationToken: Cancel);

        await DoneAsync(job.Id, 20_000);
        worker.KillHard();
        processes.Start("inference");
        await DoneAsync(job.Id, 60_000);
        await processes.Servers.RestartRabbitMqAsync(Cancel);
        await DoneAsync(job.Id, 100_000);
        await processes.Servers.RestartPostgreSqlAsync(Cancel);

        var disturbed = Requests.Output<BatchOutput>(await processes.WaitThroughOutagesAsync(job.Id));
        (disturbed.Items, disturbed.Succeeded, disturbed.Failed).ShouldBe((300_000, 300_000, 0));
        var undisturbed = Requests.Output<BatchOutput>(await processes.WaitThroughOutagesAsync((await processes.Api.SubmitAsync(QueueMaaSClient.Batch(input), cancellationToken: Cancel)).Id));
        // Artifacts are named by the hash of their content.
        disturbed.OutputArtifact.ShouldBe(undisturbed.OutputArtifact);
        disturbed.ErrorArtifact.ShouldBe(undisturbed.ErrorArtifact);
    }

    private async Task DoneAsync(string id, long items)
    {
        while (true)
        {
            var job = await processes.GetThroughOutagesAsync(id, wait: 1);
            if (job.State is JobState.Succeeded || job.Progress?.Deserialize<BatchProgress>(QueueMaaSJson.Relaxed) is { } progress && progress.Done >= items)
                return;
            job.State.ShouldNotBe(JobState.Failed, job.Error?.Message);
        }
    }

    [Fact]
    public async Task Jobs_accepted_while_the_broker_is_down_run_when_it_is_back()
    {
        await processes.Api.UploadModelAsync("double", new MemoryStream(TestModels.Double()), Cancel);
        processes.Start("inference");
        Requests.Values(await processes.Api.WaitAsync((await processes.Api.SubmitAsync(Requests.Double(1, 1), cancellationToken: Cancel)).Id, Cancel)).ShouldBe([2, 2]);
        await processes.Servers.StopRabbitMqAsync(Cancel);
        var accepted = await Task.WhenAll(Enumerable.Range(0, 20).Select(i => processes.Api.SubmitAsync(Requests.Double(i, i), cancellationToken: Cancel)));
        await processes.Servers.StartRabbitMqAsync(Cancel);
        foreach (var job in accepted)
            (await processes.Api.WaitAsync(job.Id, Cancel)).State.ShouldBe(JobState.Succeeded);
    }
}
