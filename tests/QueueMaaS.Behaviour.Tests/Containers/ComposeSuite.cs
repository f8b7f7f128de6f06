using System.Diagnostics;
using System.Globalization;
using System.Net.Http.Json;
using System.Text.Json;
using QueueMaaS.Behaviour.Tests.Cases;
using QueueMaaS.Behaviour.Tests.Setup;
using QueueMaaS.Client;
using QueueMaaS.Contracts;

namespace QueueMaaS.Behaviour.Tests.Containers;

/// <summary>What <c>docker-compose.yml</c> starts, on a Docker engine. Run by <c>./test.sh containers</c>, which brings the engine and the images.</summary>
public sealed class ComposeSuite(ComposeDeployment deployment) : IClassFixture<ComposeDeployment>, IAsyncLifetime
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => await deployment.StartAsync();

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    [Fact(Explicit = true)]
    public async Task Every_service_is_up_and_those_that_can_say_so_are_healthy()
    {
        (await deployment.InspectAsync("migrate", "{{.State.Status}} {{.State.ExitCode}}")).ShouldBe("exited 0");
        foreach (var service in (string[])["rabbitmq", "postgres", "redis", .. ComposeDeployment.Roles])
            (await deployment.InspectAsync(service, "{{.State.Status}} {{.State.Health.Status}}")).ShouldBe("running healthy", service);
        (await deployment.InspectAsync("prometheus", "{{.State.Status}}")).ShouldBe("running");
    }

    [Fact(Explicit = true)]
    public async Task Every_role_runs_as_a_plain_user_without_capabilities_on_a_read_only_file_system()
    {
        foreach (var role in ComposeDeployment.Roles)
        {
            // Of the process itself, not of what was asked for: user, capabilities that it has and could ever get, no new privileges.
            var status = await deployment.ComposeAsync("exec", role, "grep", "-E", "^(Uid|CapEff|CapBnd|NoNewPrivs):", "/proc/1/status");
            var facts = status.Split('\n').Select(line => line.Split(':')).ToDictionary(line => line[0], line => line[1].Trim().Split('\t')[0], StringComparer.Ordinal);
            facts.ShouldBe(new Dictionary<string, string> { ["Uid"] = "1654", ["CapEff"] = "0000000000000000", ["CapBnd"] = "0000000000000000", ["NoNewPrivs"] = "1" }, ignoreOrder: true, role);
            var written = await deployment.ComposeAsync("exec", role, "sh", "-c", "touch /tmp/can /data/can && rm /data/can; touch /app/cannot 2>&1; touch /home/cannot 2>&1; true");
            written.Split('\n').Select(line => line.Split(": ")[^1].Trim()).ShouldBe(["Read-only file system", "Read-only file system"], role);
        }
    }

    [Fact(Explicit = true)]
    public async Task A_model_uploaded_over_http_answers_a_job()
    {
        await deployment.Api.UploadModelAsync("double", new MemoryStream(TestModels.Double()), Cancel);
        var job = await deployment.Api.SubmitAsync(Requests.Double(1.5f, -2), cancellationToken: Cancel);
        Requests.Values(await deployment.Api.WaitAsync(job.Id, Cancel)).ShouldBe([3, -4]);
    }

    [Fact(Explicit = true)]
    public async Task A_training_in_one_container_makes_a_model_that_another_answers_with()
    {
        await deployment.Api.UploadDatasetAsync("shapes", new MemoryStream(TestImages.Shapes(trainPerClass: 30, testPerClass: 4, corrupt: 0)), Cancel);
        var training = await deployment.Api.SubmitAsync(
            QueueMaaSClient.Training(new TrainingInput { Model = "shapes", Dataset = "shapes", Epochs = 2, Deploy = "production" }), cancellationToken: Cancel);
        Requests.Output<TrainingOutput>(await deployment.Api.WaitAsync(training.Id, Cancel)).History.Count.ShouldBe(2);
        var answer = await deployment.Api.SubmitAsync(
            QueueMaaSClient.Inference(new InferenceInput { Model = "shapes", Image = new ImageSource { Base64 = Convert.ToBase64String(TestImages.OneShape()) } }), cancellationToken: Cancel);
        Requests.Output<InferenceOutput>(await deployment.Api.WaitAsync(answer.Id, Cancel)).Labels!.Count.ShouldBe(1);
    }

    [Fact(Explicit = true)]
    public async Task Jobs_in_the_hands_of_a_killed_inference_container_end_succeeded_in_another()
    {
        await deployment.ScaleAsync("inference", 2);
        try
        {
            var jobs = await BusyAsync("killed");
            await Docker.RunAsync("kill", "--signal", "KILL", (await deployment.ContainersAsync("inference"))[0]);
            await AllSucceedAsync(jobs);
        }
        finally
        {
            await deployment.ScaleAsync("inference", 1);
        }

        (await deployment.InspectAsync("inference", "{{.State.Health.Status}}")).ShouldBe("healthy");
    }

    [Fact(Explicit = true)]
    public async Task An_inference_process_that_dies_is_started_again_and_its_jobs_end_succeeded()
    {
        var jobs = await BusyAsync("died");
        var clock = Stopwatch.StartNew();
        // The process under Docker's init; a kill from outside would count as a wish of the operator's.
        await deployment.ComposeAsync("exec", "inference", "sh", "-c", "for process in /proc/[0-9]*; do [ \"$(cat $process/comm)\" != dotnet ] || kill -9 ${process#/proc/}; done");
        await AllSucceedAsync(jobs);
        Console.WriteLine($"All jobs had ended {clock.Elapsed.TotalSeconds:0} s after the process died.");
        int.Parse(await deployment.InspectAsync("inference", "{{.RestartCount}}"), CultureInfo.InvariantCulture).ShouldBeGreaterThan(0);
    }

    [Fact(Explicit = true)]
    public async Task A_container_without_libtorch_serves_beside_those_that_train()
    {
        await Docker.BuildAsync(ImageSuite.Serving, "--build-arg", "WITH_TRAINING=false");
        var port = WorkerProcess.FreePort();
        // The only one that can compute, so that its answer is its own.
        await deployment.ComposeAsync("stop", "inference");
        try
        {
            var joined = await deployment.JoinAsync(ImageSuite.Serving, port, "api,inference,notify");
            try
            {
                using var http = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{port}/") };
                var api = new QueueMaaSClient(http);
                await api.UploadModelAsync("double", new MemoryStream(TestModels.Double()), Cancel);
                var job = await api.SubmitAsync(Requests.Double(3, 4), cancellationToken: Cancel);
                Requests.Values(await api.WaitAsync(job.Id, Cancel)).ShouldBe([6, 8]);
            }
            finally
            {
                await deployment.LeaveAsync(joined);
            }
        }
        finally
        {
            await deployment.ScaleAsync("inference", 1);
        }
    }

    [Fact(Explicit = true)]
    public async Task Prometheus_reaches_every_role_and_the_broker()
    {
        using var prometheus = new HttpClient { BaseAddress = deployment.Prometheus };
        var wanted = new List<string> { "rabbitmq:15692" };
        foreach (var role in ComposeDeployment.Roles)
            wanted.Add(await deployment.InspectAsync(role, "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}") + ":8080");

        // Names are looked up and targets asked every 15 s.
        var clock = Stopwatch.StartNew();
        while (true)
        {
            var up = await QueryAsync(prometheus, "up == 1", "instance");
            // A process that has just begun has not met its broker yet.
            var ill = await QueryAsync(prometheus, "queuemaas_health == 0", "part");
            if (wanted.TrueForAll(up.Contains) && ill.Count == 0)
                break;
            clock.Elapsed.ShouldBeLessThan(TimeSpan.FromMinutes(2), $"wanted {string.Join(", ", wanted)}; up are {string.Join(", ", up)}; ill are {string.Join(", ", ill)}");
            await Task.Delay(1000, Cancel);
        }

        var rules = await prometheus.GetFromJsonAsync<JsonElement>("api/v1/rules", Cancel);
        rules.GetProperty("data").GetProperty("groups").EnumerateArray().Single().GetProperty("rules").EnumerateArray().ShouldAllBe(rule => rule.GetProperty("health").GetString() != "err");
    }

    private static async Task<IReadOnlyList<string>> QueryAsync(HttpClient prometheus, string query, string label)
    {
        var answer = await prometheus.GetFromJsonAsync<JsonElement>($"api/v1/query?query={Uri.EscapeDataString(query)}", Cancel);
        return [.. answer.GetProperty("data").GetProperty("result").EnumerateArray().Select(series => series.GetProperty("metric").GetProperty(label).GetString()!)];
    }

    /// <summary>Several seconds of work, of which the first job has ended and the others are waiting or in hand.</summary>
    private async Task<IReadOnlyList<string>> BusyAsync(string model)
    {
        await deployment.Api.UploadModelAsync(model, new MemoryStream(TestModels.Slow()), Cancel);
        var rows = new Tensor { Name = "x", Shape = [32, 2], Datatype = Datatypes.Fp32, Data = JsonSerializer.SerializeToElement(new float[64]) };
        var input = new InferenceInput { Model = model, Inputs = [rows] };
        var jobs = await Task.WhenAll(Enumerable.Range(0, 300).Select(async _ => (await deployment.Api.SubmitAsync(QueueMaaSClient.Inference(input), cancellationToken: Cancel)).Id));
        await deployment.Api.WaitAsync(jobs[0], Cancel);
        return jobs;
    }

    private async Task AllSucceedAsync(IReadOnlyList<string> jobs)
    {
        var ended = await Task.WhenAll(jobs.Select(job => deployment.Api.WaitAsync(job, Cancel)));
        ended.ShouldAllBe(job => job.State == JobState.Succeeded);
        ended.Max(job => job.Attempt).ShouldBeGreaterThan(1, "some were in the hands of the one that died");
    }
}
