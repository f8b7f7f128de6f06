using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Runtime.InteropServices;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using QueueMaaS.Behaviour.Tests.Setup;
using QueueMaaS.Client;
using QueueMaaS.Contracts;
using QueueMaaS.Data.Arrays;
using QueueMaaS.Jobs.Catalog;
using QueueMaaS.Jobs.Life;
using QueueMaaS.Serving;
using QueueMaaS.Storage.Artifacts;

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
        processes.KillAll("inference");
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

        // Looked at in a process of its own: where hosts come and go in one process, as in other tests, the framework's instruments go with the first of them.
        (await processes.MetricsAsync()).ShouldContain("http_server_request_duration_seconds");
    }

    [Fact]
    public async Task A_training_job_of_a_killed_worker_goes_on_elsewhere_to_the_same_weights()
    {
        await processes.Api.UploadDatasetAsync("fault-shapes", new MemoryStream(TestImages.Shapes(trainPerClass: 150, testPerClass: 10, corrupt: 0)), Cancel);
        processes.KillAll("training");
        var first = processes.Start("training");
        // States are stored within epochs, too, and the worker is killed after one of those.
        var input = new TrainingInput { Model = "fault", Dataset = "fault-shapes", Epochs = 6, Checkpoints = new() { EveryMinutes = 0.005 }, Optimization = new() { AverageDecay = 0.99 } };
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
        history.ShouldContain(e => e.Reason != null && e.Reason.Contains("its lease"));
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
            history.ShouldContain(e => e.Reason != null && e.Reason.Contains("its lease"), "the sweep was taken over");
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

    [Theory]
    [InlineData("npy", 300_000)]
    [InlineData("jsonl", 60_000)]
    public async Task A_batch_job_whose_worker_broker_and_database_die_in_the_middle_gives_the_same_bytes_as_an_undisturbed_one(string format, int usual)
    {
        // In full (./test.sh faults): a million rows, whose processes' memory is looked at too.
        var rows = Environment.GetEnvironmentVariable("QUEUEMAAS_FAULT_ROWS") is { Length: > 0 } text ? int.Parse(text, CultureInfo.InvariantCulture) : usual;
        await processes.Api.UploadModelAsync("batch-fault", new MemoryStream(TestModels.Double()), Cancel);
        var failed = 0;
        await using var file = new FileStream(Path.GetTempFileName(), FileMode.Create, FileAccess.ReadWrite, FileShare.None, 1 << 16, FileOptions.DeleteOnClose);
        if (format == "npy")
            await WriteArrayAsync(file, rows);
        else
            failed = await WriteLinesAsync(file, rows);
        file.Position = 0;
        var artifact = (await processes.Api.UploadArtifactAsync(file, Cancel)).Id;
        var input = new BatchInput { Model = "batch-fault", Artifact = artifact, ChunkSize = 4000, Concurrency = 2 };
        processes.KillAll("inference");
        var worker = processes.Start("inference");
        var clock = Stopwatch.StartNew();
        var job = await processes.Api.SubmitAsync(QueueMaaSClient.Batch(input), cancellationToken: Cancel);

        await DoneAsync(job.Id, rows / 15);
        worker.KillHard();
        worker = processes.Start("inference");
        await DoneAsync(job.Id, rows / 5);
        await processes.Servers.RestartRabbitMqAsync(Cancel);
        await DoneAsync(job.Id, rows / 3);
        await processes.Servers.RestartPostgreSqlAsync(Cancel);

        var disturbed = Requests.Output<BatchOutput>(await processes.WaitThroughOutagesAsync(job.Id));
        var through = clock.Elapsed;
        (disturbed.Items, disturbed.Succeeded, disturbed.Failed).ShouldBe((rows, rows - failed, failed));
        clock.Restart();
        var undisturbed = Requests.Output<BatchOutput>(await processes.WaitThroughOutagesAsync((await processes.Api.SubmitAsync(QueueMaaSClient.Batch(input), cancellationToken: Cancel)).Id));
        // Artifacts are named by the hash of their content.
        disturbed.OutputArtifact.ShouldBe(undisturbed.OutputArtifact);
        disturbed.ErrorArtifact.ShouldBe(undisturbed.ErrorArtifact);
        var line = string.Create(CultureInfo.InvariantCulture, $"batch faults: {rows:N0} rows of .{format}, {failed:N0} of them wrong; a worker killed, RabbitMQ and PostgreSQL restarted: the same bytes; "
            + $"{through.TotalSeconds:0.0} s, undisturbed {clock.Elapsed.TotalSeconds:0.0} s; at most {processes.Server.PeakMemory >> 20} MiB in the API process, {worker.PeakMemory >> 20} MiB in the worker");
        TestContext.Current.TestOutputHelper?.WriteLine(line);
        if (Environment.GetEnvironmentVariable("QUEUEMAAS_FAULT_REPORT") is { Length: > 0 } report)
            await File.AppendAllTextAsync(report, line + Environment.NewLine, Cancel);
    }

    private static async Task WriteArrayAsync(Stream file, int rows)
    {
        await file.WriteAsync(NpyHeader.Write(Datatypes.Fp32, [rows, 2]), Cancel);
        var values = new float[2 * rows];
        for (var i = 0; i < values.Length; i++)
            values[i] = i * 0.25f;
        await file.WriteAsync(MemoryMarshal.AsBytes(values.AsSpan()).ToArray(), Cancel);
    }

    /// <summary>Writes lines with ids, a few of them wrong; answers how many are wrong.</summary>
    private static async Task<int> WriteLinesAsync(Stream file, int rows)
    {
        await using var lines = new StreamWriter(file, leaveOpen: true);
        var wrong = 0;
        for (var i = 0; i < rows; i++)
        {
            var value = i % 997 == 5 ? "\"none\"" : (i * 0.25).ToString(CultureInfo.InvariantCulture);
            wrong += i % 997 == 5 ? 1 : 0;
            await lines.WriteLineAsync($$"""{"id":"item-{{i}}","inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[{{value}},1]}]}""");
        }

        return wrong;
    }

    [Fact]
    public async Task While_the_disk_is_full_uploads_are_refused_honestly_and_work_waits()
    {
        processes.KillAll("inference");
        FillableStore? disk = null;
        await using var host = QueueMaaSHost.Build(
            [.. processes.Settings, "--roles=api,inference", "--urls=http://127.0.0.1:0", "--Logging:LogLevel:Default=None", "--Jobs:RetryBase=00:00:00.1"],
            services => services.AddSingleton<IArtifactStore>(provider => disk = new FillableStore(provider.GetRequiredService<FileArtifactStore>())));
        await host.StartAsync(Cancel);
        using var http = new HttpClient { BaseAddress = new Uri(host.Urls.First()) };
        var api = new QueueMaaSClient(http);
        await api.UploadModelAsync("disk-fault", new MemoryStream(TestModels.Double()), Cancel);
        await using var file = new MemoryStream();
        var wrong = await WriteLinesAsync(file, 20_000);
        file.Position = 0;
        var artifact = (await api.UploadArtifactAsync(file, Cancel)).Id;

        disk!.IsFull = true;
        using (var refused = await http.PostAsync("v1/artifacts", new ByteArrayContent(new byte[100_000]), Cancel))
        {
            refused.StatusCode.ShouldBe(HttpStatusCode.ServiceUnavailable);
            refused.Headers.RetryAfter.ShouldNotBeNull();
            (await Requests.ProblemAsync(refused)).Code.ShouldBe(ProblemCodes.StorageFull);
        }

        var job = await api.SubmitAsync(QueueMaaSClient.Batch(new BatchInput { Model = "disk-fault", Artifact = artifact, ChunkSize = 5000 }), cancellationToken: Cancel);
        // More attempts than it has: none of them is the job's fault.
        var store = host.Services.GetRequiredService<IJobStore>();
        JobRecord? chunk;
        do
        {
            await Task.Delay(50, Cancel);
            chunk = await store.FindAsync("default", $"{job.Id}:chunk-000000", Cancel);
            chunk?.State.ShouldNotBe(JobState.Failed);
        }
        while (chunk is null || chunk.Attempt <= chunk.MaxAttempts);
        chunk.Error!.ShouldContain(ProblemCodes.StorageFull);

        disk.IsFull = false;
        var output = Requests.Output<BatchOutput>(await api.WaitAsync(job.Id, Cancel));
        (output.Items, output.Failed).ShouldBe((20_000, wrong));
        await host.StopAsync(Cancel);
    }

    /// <summary>A disk that can be full: the system itself says so, when something is written to its device that always is.</summary>
    private sealed class FillableStore(IArtifactStore store) : IArtifactStore
    {
        public bool IsFull { get; set; }

        public async Task<Artifact> PutAsync(Stream content, long maxBytes, CancellationToken cancellationToken)
        {
            if (!IsFull)
                return await store.PutAsync(content, maxBytes, cancellationToken);
            await using var full = new FileStream("/dev/full", FileMode.Open, FileAccess.Write, FileShare.ReadWrite, bufferSize: 0);
            await content.CopyToAsync(full, cancellationToken);
            throw new InvalidOperationException("The device took what it was given.");
        }

        public Task<string> GetFileAsync(string artifactId, CancellationToken cancellationToken) => store.GetFileAsync(artifactId, cancellationToken);

        public Task DeleteAsync(string artifactId, CancellationToken cancellationToken) => store.DeleteAsync(artifactId, cancellationToken);
    }

    [Fact]
    public async Task A_worker_whose_clock_jumps_neither_loses_its_jobs_nor_keeps_them_from_others()
    {
        await processes.Api.UploadModelAsync("double", new MemoryStream(TestModels.Double()), Cancel);
        await using var file = new MemoryStream();
        await WriteArrayAsync(file, 600_000);
        file.Position = 0;
        var artifact = (await processes.Api.UploadArtifactAsync(file, Cancel)).Id;
        processes.KillAll("inference");
        var clock = new JumpingClock();
        await using var host = QueueMaaSHost.Build([.. processes.Settings, "--roles=inference", "--urls=http://127.0.0.1:0", "--Logging:LogLevel:Default=None"], services => services.AddSingleton<TimeProvider>(clock));
        await host.StartAsync(Cancel);
        foreach (var offset in (double[])[0, 1, -1, 240, 0])
        {
            clock.Offset = TimeSpan.FromHours(offset);
            var jobs = await Task.WhenAll(Enumerable.Range(0, 40).Select(i => processes.Api.SubmitAsync(Requests.Double(i, (float)offset), cancellationToken: Cancel)));
            foreach (var (i, job) in jobs.Index())
            {
                var ended = await processes.Api.WaitAsync(job.Id, Cancel);
                Requests.Values(ended).ShouldBe([2 * i, 2 * (float)offset]);
                // Nobody thought that its lease was over.
                ended.Attempt.ShouldBe(1);
            }
        }

        // Longer than a lease, so that it must be renewed by that clock.
        clock.Offset = TimeSpan.FromHours(-1);
        var batch = await processes.Api.WaitAsync((await processes.Api.SubmitAsync(QueueMaaSClient.Batch(new BatchInput { Model = "double", Artifact = artifact, ChunkSize = 2000, Concurrency = 1 }), cancellationToken: Cancel)).Id, Cancel);
        (Requests.Output<BatchOutput>(batch).Succeeded, batch.Attempt).ShouldBe((600_000, 1));

        await host.StopAsync(Cancel);
    }

    private sealed class JumpingClock : TimeProvider
    {
        public TimeSpan Offset { get; set; }

        public override DateTimeOffset GetUtcNow() => System.GetUtcNow() + Offset;
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

    [Fact]
    public async Task A_process_that_accepts_and_computes_does_both_while_the_broker_is_down()
    {
        await processes.Api.UploadModelAsync("double", new MemoryStream(TestModels.Double()), Cancel);
        processes.KillAll("inference");
        var both = processes.Start("api,inference");
        using var http = new HttpClient { BaseAddress = new Uri(both.Url) };
        await both.WaitUntilReadyAsync(http);
        var api = new QueueMaaSClient(http);
        Requests.Values(await api.WaitAsync((await api.SubmitAsync(Requests.Double(1, 1), cancellationToken: Cancel)).Id, Cancel)).ShouldBe([2, 2]);
        // It has looked by now whether jobs wait that others dispatched: until then all go by the queue.
        await Task.Delay(TimeSpan.FromSeconds(3), Cancel);
        await processes.Servers.StopRabbitMqAsync(Cancel);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        limit.CancelAfter(TimeSpan.FromSeconds(60));
        try
        {
            var jobs = new List<Job>();
            for (var i = 0; i < 5; i++)
                jobs.Add(await api.WaitAsync((await api.SubmitAsync(Requests.Double(i, i), cancellationToken: limit.Token)).Id, limit.Token));
            jobs.ShouldAllBe(job => job.State == JobState.Succeeded && job.Attempt == 1);
        }
        finally
        {
            await processes.Servers.StartRabbitMqAsync(Cancel);
            both.KillHard();
        }
    }

    [Fact]
    public async Task A_webhook_whose_receiver_is_slow_is_sent_by_one_notifier_alone()
    {
        await processes.Api.UploadModelAsync("double", new MemoryStream(TestModels.Double()), Cancel);
        processes.Start("inference");
        var second = processes.Start("notify");
        using (var http = new HttpClient { BaseAddress = new Uri(second.Url) })
            await second.WaitUntilReadyAsync(http);
        await using var receiver = new WebhookReceiver();
        await receiver.StartAsync();
        // Longer than a notifier holds what it has taken, which it prolongs while it is sending.
        var answered = new TaskCompletionSource();
        receiver.Answers["slow"] = async _ =>
        {
            await Task.Delay(TimeSpan.FromSeconds(11), Cancel);
            answered.TrySetResult();
            return Microsoft.AspNetCore.Http.Results.Ok();
        };
        var submission = Requests.Double(1, 1) with { Webhook = new WebhookTarget { Url = receiver.Url("slow"), Secret = receiver.Secret, Events = [WebhookEvent.Completed] } };
        await processes.Api.SubmitAsync(submission, cancellationToken: Cancel);
        await receiver.NextAsync("slow");
        await answered.Task.WaitAsync(TimeSpan.FromSeconds(30), Cancel);
        receiver.Waiting("slow").ShouldBe(0);
        second.KillHard();
    }
}
