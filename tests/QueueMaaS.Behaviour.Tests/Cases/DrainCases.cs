using System.Diagnostics;
using QueueMaaS.Behaviour.Tests.Setup;
using QueueMaaS.Client;
using QueueMaaS.Contracts;

namespace QueueMaaS.Behaviour.Tests.Cases;

/// <summary>Processes that are told to stop (SIGTERM), as Kubernetes and systemd do it. Leases are long, so that nothing here comes from one that expired.</summary>
[Collection("faults")]
public sealed class DrainCases : ProcessCases
{
    [Fact]
    public async Task A_training_of_a_worker_that_is_told_to_stop_goes_on_at_another_at_once_and_loses_no_attempt()
    {
        using var http = await StartApiAsync();
        var api = new QueueMaaSClient(http);
        await api.UploadDatasetAsync("drained", new MemoryStream(TestImages.Shapes(trainPerClass: 100, testPerClass: 10, corrupt: 0)), Cancel);
        var first = Start("training");
        var job = await api.SubmitAsync(QueueMaaSClient.Training(new TrainingInput { Model = "drained", Dataset = "drained", Epochs = 30 }), cancellationToken: Cancel);
        await foreach (var e in api.EventsAsync(job.Id, cancellationToken: Cancel))
        {
            if (e.Type == "progress")
                break;
        }

        var second = Start("training");
        using (var other = new HttpClient { BaseAddress = new Uri(second.Url) })
            await second.WaitUntilReadyAsync(other);
        var clock = Stopwatch.StartNew();
        await first.EndAsync();
        clock.Elapsed.ShouldBeLessThan(TimeSpan.FromSeconds(30), "a training is not waited for");
        while ((await api.GetAsync(job.Id, Cancel)).State != JobState.Running)
            await Task.Delay(50, Cancel);
        clock.Elapsed.ShouldBeLessThan(TimeSpan.FromSeconds(40), "the lease of ten minutes is given back");
        (await api.GetAsync(job.Id, Cancel)).Attempt.ShouldBe(1);
        await api.CancelAsync(job.Id, Cancel);
    }

    [Fact]
    public async Task Inference_jobs_of_a_worker_that_is_told_to_stop_all_end()
    {
        using var http = await StartApiAsync();
        var api = new QueueMaaSClient(http);
        await api.UploadModelAsync("double", new MemoryStream(TestModels.Double()), Cancel);
        var first = Start("inference");
        var jobs = Task.WhenAll(Enumerable.Range(0, 300).Select(async i => await api.SubmitAsync(Requests.Double(i, 1), cancellationToken: Cancel)));
        await jobs;
        await first.EndAsync();
        Start("inference");
        var clock = Stopwatch.StartNew();
        foreach (var (i, job) in (await jobs).Index())
        {
            var done = await api.WaitAsync(job.Id, Cancel);
            Requests.Values(done)[0].ShouldBe(2 * i);
            done.Attempt.ShouldBe(1);
        }

        clock.Elapsed.ShouldBeLessThan(TimeSpan.FromSeconds(60));
    }

    [Fact]
    public async Task A_worker_that_is_told_to_stop_takes_its_grace_and_hands_back_what_does_not_end_in_it()
    {
        using var http = await StartApiAsync();
        var api = new QueueMaaSClient(http);
        // A batch waits four seconds for others, which never come: longer than the two after which the command line's library ends a program by itself, and within the grace of five.
        using var form = new MultipartFormDataContent { { new ByteArrayContent(TestModels.Double()), "model", "model.onnx" }, { new StringContent("""{"maxQueueDelayMs":4000}"""), "batching" } };
        using (var uploaded = await http.PutAsync("v1/models/double", form, Cancel))
            uploaded.EnsureSuccessStatusCode();
        var worker = Start("inference");
        using (var other = new HttpClient { BaseAddress = new Uri(worker.Url) })
            await worker.WaitUntilReadyAsync(other);
        var jobs = await Task.WhenAll(Enumerable.Range(0, 5).Select(i => api.SubmitAsync(Requests.Double(i, 1), cancellationToken: Cancel)));
        while ((await api.GetAsync(jobs[^1].Id, Cancel)).State == JobState.Queued)
            await Task.Delay(20, Cancel);
        await worker.EndAsync();
        (await worker.ExitCodeAsync()).ShouldBe(0);
        foreach (var job in jobs)
            (await api.GetAsync(job.Id, Cancel)).State.ShouldBe(JobState.Succeeded);
    }

    private async Task<HttpClient> StartApiAsync()
    {
        var api = Start("api,notify");
        var http = new HttpClient { BaseAddress = new Uri(api.Url), Timeout = TimeSpan.FromMinutes(3) };
        await api.WaitUntilReadyAsync(http);
        return http;
    }

    private WorkerProcess Start(string roles) => Start(roles, ("Jobs:Lease", "00:10:00"), ("Jobs:TrainingLease", "00:10:00"));
}
