using System.Diagnostics;
using System.Text.Json;
using QueueMaaS.Behaviour.Tests.Setup;
using QueueMaaS.Client;
using QueueMaaS.Contracts;
using QueueMaaS.Testing;

namespace QueueMaaS.Behaviour.Tests.Cases;

/// <summary>Workers that end, and workers that only look as if. Leases are of ten minutes, so that nothing here comes from one that expired.</summary>
[Collection("faults")]
public sealed class PresenceCases : ProcessCases
{
    private static readonly (string, string)[] LongLeases = [("Jobs:Lease", "00:10:00"), ("Jobs:TrainingLease", "00:10:00")];

    [Fact]
    public async Task A_job_of_a_killed_worker_is_taken_over_long_before_its_lease_ends()
    {
        var api = Start("api,notify", LongLeases);
        using var http = new HttpClient { BaseAddress = new Uri(api.Url) };
        await api.WaitUntilReadyAsync(http);
        var worker = Start("training", LongLeases);
        var job = await StartTrainingAsync(http);
        worker.KillHard();
        Start("training", LongLeases);
        await ExpectTakenOverAsync(http, job);
    }

    [Fact]
    public async Task A_job_of_a_killed_process_without_servers_goes_on_when_the_process_is_started_again()
    {
        var first = StartAlone();
        using (var http = new HttpClient { BaseAddress = new Uri(first.Url) })
        {
            await first.WaitUntilReadyAsync(http);
            var job = await StartTrainingAsync(http);
            first.KillHard();
            var second = StartAlone();
            using var again = new HttpClient { BaseAddress = new Uri(second.Url) };
            await second.WaitUntilReadyAsync(again);
            await ExpectTakenOverAsync(again, job);
        }
    }

    [Fact]
    public async Task A_worker_that_hangs_or_whose_database_restarts_is_not_taken_for_dead()
    {
        var api = Start("api,notify", LongLeases);
        using var http = new HttpClient { BaseAddress = new Uri(api.Url), Timeout = TimeSpan.FromMinutes(2) };
        await api.WaitUntilReadyAsync(http);
        var worker = Start("training", LongLeases);
        var job = await StartTrainingAsync(http);
        using (Process.Start("kill", ["-STOP", $"{worker.Id}"]))
            await Task.Delay(TimeSpan.FromSeconds(6), Cancel);
        using (Process.Start("kill", ["-CONT", $"{worker.Id}"]))
            await Servers.RestartPostgreSqlAsync(Cancel);
        await Task.Delay(TimeSpan.FromSeconds(6), Cancel);
        await api.WaitUntilReadyAsync(http);
        var client = new QueueMaaSClient(http);
        var still = await client.GetAsync(job, Cancel);
        (still.State, still.Attempt).ShouldBe((JobState.Running, 1));
        await client.CancelAsync(job, Cancel);
    }

    private static async Task<string> StartTrainingAsync(HttpClient http)
    {
        var api = new QueueMaaSClient(http);
        await api.UploadDatasetAsync("presence", new MemoryStream(TestImages.Shapes(trainPerClass: 100, testPerClass: 10, corrupt: 0)), Cancel);
        var job = await api.SubmitAsync(QueueMaaSClient.Training(new TrainingInput { Model = "presence", Dataset = "presence", Epochs = 1000 }), cancellationToken: Cancel);
        await foreach (var e in api.EventsAsync(job.Id, cancellationToken: Cancel))
        {
            // Into its work, so that the worker has been seen by others: one that dies in its first two seconds is left to its leases.
            if (e.Type == "progress" && e.Data!.Value.GetProperty("epoch").GetInt32() > 10)
                break;
        }

        return job.Id;
    }

    private static async Task ExpectTakenOverAsync(HttpClient http, string id)
    {
        var api = new QueueMaaSClient(http);
        var clock = Stopwatch.StartNew();
        while (await api.GetAsync(id, Cancel) is not { State: JobState.Running, Attempt: 2 })
        {
            clock.Elapsed.ShouldBeLessThan(TimeSpan.FromMinutes(1), await http.GetStringAsync($"v1/jobs/{id}/history", Cancel));
            await Task.Delay(100, Cancel);
        }

        var history = JsonSerializer.Deserialize<IReadOnlyList<JobEvent>>(await http.GetStringAsync($"v1/jobs/{id}/history", Cancel), QueueMaaSJson.Relaxed)!;
        history.ShouldContain(e => e.Reason != null && e.Reason.EndsWith("ended without giving its lease back", StringComparison.Ordinal));
        await api.CancelAsync(id, Cancel);
    }

    /// <summary>All roles in one process on SQLite.</summary>
    private WorkerProcess StartAlone() => Start("api,inference,training,notify", [("Storage:PostgreSql", ""), ("Storage:Redis", ""), ("Bus:RabbitMq", ""), .. LongLeases]);
}
