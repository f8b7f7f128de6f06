using QueueMaaS.Behaviour.Tests.Setup;
using QueueMaaS.Client;
using QueueMaaS.Contracts;

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
    public async Task A_training_job_of_a_killed_worker_is_taken_over_and_registers_one_version()
    {
        await processes.Api.UploadDatasetAsync("fault-shapes", new MemoryStream(TestImages.Shapes(trainPerClass: 150, testPerClass: 10, corrupt: 0)), Cancel);
        var first = processes.Start("training");
        var job = await processes.Api.SubmitAsync(QueueMaaSClient.Training(new TrainingInput { Model = "fault", Dataset = "fault-shapes", Epochs = 4 }), cancellationToken: Cancel);
        await foreach (var e in processes.Api.EventsAsync(job.Id, cancellationToken: Cancel))
        {
            // Killed in the middle: after the first epoch has been reported.
            if (e.Data?.GetProperty("history").GetArrayLength() > 0)
                break;
        }

        first.KillHard();
        processes.Start("training");
        var done = await processes.Api.WaitAsync(job.Id, Cancel);
        Requests.Output<TrainingOutput>(done).Version.ShouldBe(1);
        done.Attempt.ShouldBe(2);
        var history = await processes.HistoryAsync(job.Id);
        history.Count(e => e.Type == "succeeded").ShouldBe(1);
        history.ShouldContain(e => e.Reason != null && e.Reason.Contains("stopped renewing its lease"));
        (await processes.Api.GetModelAsync("fault", Cancel)).TrainedBy.ShouldBe(job.Id);
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
