using System.Net.Http.Json;
using System.Text.Json;
using QueueMaaS.Behaviour.Tests.Setup;
using QueueMaaS.Client;
using QueueMaaS.Contracts;

namespace QueueMaaS.Behaviour.Tests.Cases;

/// <summary>Trainings as users meet them: checkpoints, pauses, figures, starting from a model, refusals.</summary>
public abstract class TrainingCases(ServiceFixture service)
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_checkpoint_can_be_listed_downloaded_and_made_a_model()
    {
        await UploadAsync("check-shapes");
        var job = await SubmitAsync(new() { Model = "checked", Dataset = "check-shapes", Epochs = 3, Checkpoints = new() { Keep = 2 } });
        var trained = Requests.Output<TrainingOutput>(await service.Api.WaitAsync(job.Id, Cancel));
        var checkpoints = await ReadAsync<IReadOnlyList<TrainingCheckpoint>>($"v1/jobs/{job.Id}/checkpoints");
        checkpoints.Select(c => c.Id).ShouldBe(["epoch-2", "epoch-3"]);
        checkpoints[0].Metrics!.ValidationLoss.ShouldBe(trained.History[1].ValidationLoss);
        (await service.Http.GetByteArrayAsync($"v1/artifacts/{checkpoints[0].Artifact}", Cancel)).LongLength.ShouldBe(checkpoints[0].Bytes);

        using var registered = await service.Http.PostAsync($"v1/jobs/{job.Id}/checkpoints/epoch-2/register", Requests.Json("""{"model":"second-epoch","alias":"trial"}"""), Cancel);
        registered.StatusCode.ShouldBe(System.Net.HttpStatusCode.Created, await registered.Content.ReadAsStringAsync(Cancel));
        var version = await service.Api.GetModelAsync("second-epoch@trial", Cancel);
        version.Metrics!["validationLoss"].ShouldBe(trained.History[1].ValidationLoss);
        var answer = await service.Api.SubmitAsync(
            QueueMaaSClient.Inference(new InferenceInput { Model = "second-epoch", Image = new ImageSource { Base64 = Convert.ToBase64String(TestImages.OneShape()) } }), cancellationToken: Cancel);
        Requests.Output<InferenceOutput>(await service.Api.WaitAsync(answer.Id, Cancel)).Labels!.Count.ShouldBe(1);
        using var again = await service.Http.PostAsync($"v1/jobs/{job.Id}/checkpoints/epoch-2/register", Requests.Json("""{"model":"second-epoch"}"""), Cancel);
        (await again.Content.ReadFromJsonAsync<ModelVersion>(QueueMaaSJson.Relaxed, Cancel))!.Version.ShouldBe(version.Version, "a repeat makes no second version");

        using var missing = await service.Http.PostAsync($"v1/jobs/{job.Id}/checkpoints/epoch-1/register", null, Cancel);
        (await Requests.ProblemAsync(missing)).Code.ShouldBe("checkpoint_not_found");
    }

    [Fact]
    public async Task A_training_that_was_paused_and_resumed_ends_with_the_weights_of_an_undisturbed_one()
    {
        await UploadAsync("pause-shapes");
        var input = new TrainingInput { Model = "paused", Dataset = "pause-shapes", Epochs = 4, BatchSize = 8, Seed = 5 };
        var job = await SubmitAsync(input);
        await WaitForStepsAsync(job.Id);
        using var paused = await service.Http.PostAsync($"v1/jobs/{job.Id}/pause", null, Cancel);
        (await paused.Content.ReadFromJsonAsync<Job>(QueueMaaSJson.Relaxed, Cancel))!.State.ShouldBe(JobState.Paused);
        using var twice = await service.Http.PostAsync($"v1/jobs/{job.Id}/resume", null, Cancel);
        (await twice.Content.ReadFromJsonAsync<Job>(QueueMaaSJson.Relaxed, Cancel))!.State.ShouldBe(JobState.Queued);
        var done = await service.Api.WaitAsync(job.Id, Cancel);
        var interrupted = Requests.Output<TrainingOutput>(done);
        done.Attempt.ShouldBe(1, "a pause costs no attempt");
        var undisturbed = Requests.Output<TrainingOutput>(await service.Api.WaitAsync((await SubmitAsync(input with { Model = "unpaused" })).Id, Cancel));
        interrupted.WeightsArtifact.ShouldBe(undisturbed.WeightsArtifact);
        interrupted.History.Select(e => e.Loss).ShouldBe(undisturbed.History.Select(e => e.Loss));
        using var late = await service.Http.PostAsync($"v1/jobs/{job.Id}/pause", null, Cancel);
        (await Requests.ProblemAsync(late)).Status.ShouldBe(409);
    }

    [Fact]
    public async Task Figures_are_kept_epoch_by_epoch_and_a_cancelled_training_stops()
    {
        await UploadAsync("figure-shapes");
        var job = await SubmitAsync(new() { Model = "figures", Dataset = "figure-shapes", Epochs = 500, BatchSize = 8 });
        await foreach (var e in service.Api.EventsAsync(job.Id, cancellationToken: Cancel))
        {
            if (e.Type == "progress" && e.Data!.Value.GetProperty("history").GetArrayLength() > 1)
                break;
        }

        var metrics = await service.Http.GetFromJsonAsync<JsonElement>($"v1/jobs/{job.Id}/metrics", Cancel);
        metrics.GetProperty("epochs").EnumerateArray().Select(e => e.GetProperty("epoch").GetInt32()).Take(2).ShouldBe([1, 2]);
        (await service.Api.CancelAsync(job.Id, Cancel)).State.ShouldBe(JobState.Cancelled);
        // The worker's only slot is free again: another training is done.
        var next = await SubmitAsync(new() { Model = "figures", Dataset = "figure-shapes", Epochs = 1 });
        Requests.Output<TrainingOutput>(await service.Api.WaitAsync(next.Id, Cancel)).Epoch.ShouldBe(1);
    }

    [Fact]
    public async Task Each_epoch_is_measured_and_logged_once_and_the_jobs_webhook_hears_of_the_log()
    {
        await service.Api.UploadDatasetAsync("logged-shapes", new MemoryStream(TestImages.Shapes(trainPerClass: 30, testPerClass: 4, corrupt: 2)), Cancel);
        var path = $"log-{Guid.NewGuid():N}";
        var submission = QueueMaaSClient.Training(new TrainingInput { Model = "logged", Dataset = "logged-shapes", Epochs = 3 });
        var job = await service.Api.SubmitAsync(
            submission with { Webhook = new WebhookTarget { Url = service.Webhooks.Url(path), Secret = service.Webhooks.Secret, Events = [WebhookEvent.Logs] } }, cancellationToken: Cancel);
        var trained = Requests.Output<TrainingOutput>(await service.Api.WaitAsync(job.Id, Cancel));
        var events = new List<JobEvent>();
        await foreach (var e in service.Api.EventsAsync(job.Id, cancellationToken: Cancel))
            events.Add(e);

        var figures = events.Where(e => e.Type == "metrics").Select(e => e.Data!.Value).ToList();
        figures.Select(f => f.GetProperty("epoch").GetDouble()).ShouldBe([1, 2, 3]);
        figures.Select(f => f.GetProperty("validationLoss").GetDouble()).ShouldBe(trained.History.Select(e => e.ValidationLoss));
        var lines = events.Where(e => e.Type == "log").Select(e => (Level: e.Data!.Value.GetProperty("level").GetString(), Text: e.Data!.Value.GetProperty("text").GetString()!)).ToList();
        lines.Count(line => line.Text.StartsWith("Epoch 2 of 3: loss ", StringComparison.Ordinal)).ShouldBe(1);
        lines.ShouldContain(line => line.Level == "warning" && line.Text.Contains("2 items could not be read", StringComparison.Ordinal));

        var told = await service.Webhooks.NextAsync(path);
        var payload = JsonSerializer.Deserialize<WebhookPayload>(told.Body, QueueMaaSJson.Relaxed)!;
        (payload.Type, payload.Data.JobId).ShouldBe(("job.log", job.Id));
        payload.Data.Progress!.Value.GetProperty("text").GetString().ShouldBe(lines[0].Text);
    }

    [Fact]
    public async Task A_training_takes_a_recipe_and_says_in_the_card_what_it_came_to()
    {
        await UploadAsync("recipe-shapes");
        var trained = Requests.Output<TrainingOutput>(await service.Api.WaitAsync((await SubmitAsync(new() { Model = "recipe", Dataset = "recipe-shapes", Recipe = "cifar-plain", Epochs = 1 })).Id, Cancel));
        var parameters = (await service.Api.GetModelAsync($"recipe@{trained.Version}", Cancel)).Card!.Parameters!.Value;
        (parameters.GetProperty("recipe").GetString(), parameters.GetProperty("preset").GetString(), parameters.GetProperty("epochs").GetInt32()).ShouldBe(("cifar-plain@1", "cnn-small", 1));
        (await ReadAsync<IReadOnlyList<Recipe>>("v1/recipes")).Select(r => r.Name).ShouldContain("tabular-default");
        (await ReadAsync<Recipe>("v1/recipes/cifar-plain")).Training.GetProperty("epochs").GetInt32().ShouldBe(10);
        await RefusedAsync(new() { Model = "recipe", Dataset = "recipe-shapes", Recipe = "cifar-plainer" }, "recipe_not_found", "`cifar-plain@1`");
        using var none = await service.Http.GetAsync("v1/recipes/cifar-plainer", Cancel);
        (await Requests.ProblemAsync(none)).Status.ShouldBe(404);
    }

    [Fact]
    public async Task A_training_begins_with_a_registered_model()
    {
        await UploadAsync("base-shapes");
        var first = Requests.Output<TrainingOutput>(await service.Api.WaitAsync((await SubmitAsync(new() { Model = "base", Dataset = "base-shapes", Epochs = 2 })).Id, Cancel));
        var second = Requests.Output<TrainingOutput>(await service.Api.WaitAsync(
            (await SubmitAsync(new() { Model = "derived", Dataset = "base-shapes", Epochs = 1, StartFrom = new() { Model = "base", Freeze = ["conv*"], Reset = ["head"] } })).Id, Cancel));
        second.StartedFrom!.Model.ShouldBe($"base@{first.Version}");
        second.StartedFrom.New.ShouldBe(["head.weight", "head.bias"]);
        await RefusedAsync(new() { Model = "derived", Dataset = "base-shapes", StartFrom = new() { Model = "double" } }, "specification_invalid", "was not trained by this service");
    }

    [Fact]
    public async Task What_cannot_be_trained_is_refused_when_it_is_submitted()
    {
        await UploadAsync("refused-shapes");
        var input = new TrainingInput { Model = "refused", Dataset = "refused-shapes" };
        await RefusedAsync(input with { LearningRate = 1e9 }, "invalid_value", "'learningRate'");
        await RefusedAsync(input with { Network = Layers("""[{"type":"conv2d","out":4,"kernel":40},{"type":"flatten"},{"type":"linear"}]""") }, "specification_invalid", "at least 40 × 40 pixels");
        await RefusedAsync(input with { Network = Layers("""[{"type":"flatten"},{"type":"linear","out":3}]""") }, "specification_invalid", "one for each of the 10 classes");
        await RefusedAsync(input with { Network = Layers("""[{"type":"flaten"}]""") }, "specification_invalid", "'flaten' is no layer");
        await RefusedAsync(input with { Dataset = "nowhere" }, "dataset_not_found", "nowhere");
    }

    [Fact]
    public async Task A_table_and_texts_go_from_upload_to_answers()
    {
        var random = new Random(3);
        var csv = string.Join('\n', Enumerable.Range(0, 200).Select(i => (Size: random.NextDouble() * 10, Red: i % 2 == 0)).Select(r => $"{r.Size:R},{(r.Red ? "red" : "green")},{2 * r.Size + (r.Red ? 5 : 0):R}").Prepend("size,colour,price"));
        var dataset = await service.Api.UploadDatasetAsync("prices", new MemoryStream(System.Text.Encoding.UTF8.GetBytes(csv)), Cancel);
        dataset.Card.Columns!.Select(c => c.Kind).ShouldBe([ColumnKind.Number, ColumnKind.Category, ColumnKind.Number]);
        await RefusedAsync(new() { Model = "prices", Dataset = "prices", Data = new() { Target = "cost" } }, "column_not_found", "'size', 'colour', 'price'");
        var trained = Requests.Output<TrainingOutput>(await service.Api.WaitAsync((await SubmitAsync(new() { Model = "prices", Dataset = "prices", Preset = "logistic", Epochs = 200, LearningRate = 0.05, BatchSize = 32 })).Id, Cancel));
        (trained.Task, trained.ValidationAccuracy).ShouldBe((TrainingTask.Regression, null), "a number is not right or wrong");
        trained.History[^1].ValidationR2!.Value.ShouldBeGreaterThan(0.99);
        var asked = await service.Api.SubmitAsync(QueueMaaSClient.Inference(new InferenceInput { Model = "prices", Row = JsonElement.Parse("{\"size\":4,\"colour\":\"red\"}") }), cancellationToken: Cancel);
        Requests.Output<InferenceOutput>(await service.Api.WaitAsync(asked.Id, Cancel)).Values![0][0].ShouldBe(13, 0.3);

        var jsonl = string.Join('\n', Enumerable.Range(0, 120).Select(i => $$"""{"text":"{{(i % 2 == 0 ? "sunny and warm" : "rain and storm")}} {{i}}","label":"{{(i % 2 == 0 ? "fair" : "foul")}}"}"""));
        await service.Api.UploadDatasetAsync("weather", new MemoryStream(System.Text.Encoding.UTF8.GetBytes(jsonl)), Cancel);
        Requests.Output<TrainingOutput>(await service.Api.WaitAsync((await SubmitAsync(new() { Model = "weather", Dataset = "weather", Epochs = 5, BatchSize = 16, Data = new() { Tokens = new() { Length = 8 } } })).Id, Cancel)).ValidationAccuracy.ShouldBe(1);
        var text = await service.Api.SubmitAsync(QueueMaaSClient.Inference(new InferenceInput { Model = "weather", Text = "a storm and RAIN" }), cancellationToken: Cancel);
        Requests.Output<InferenceOutput>(await service.Api.WaitAsync(text.Id, Cancel)).Labels![0][0].Label.ShouldBe("foul");
    }

    private static IReadOnlyList<JsonElement> Layers(string json) => [.. JsonElement.Parse(json).EnumerateArray()];

    private Task UploadAsync(string name) => service.Api.UploadDatasetAsync(name, new MemoryStream(TestImages.Shapes(trainPerClass: 30, testPerClass: 4, corrupt: 0)), Cancel);

    private Task<Job> SubmitAsync(TrainingInput input) => service.Api.SubmitAsync(QueueMaaSClient.Training(input), cancellationToken: Cancel);

    private async Task WaitForStepsAsync(string id)
    {
        await foreach (var e in service.Api.EventsAsync(id, cancellationToken: Cancel))
        {
            if (e.Type == "progress" && e.Data!.Value.GetProperty("phase").GetString() is "training" or "validating")
                return;
        }
    }

    private async Task RefusedAsync(TrainingInput input, string code, string words)
    {
        var problem = (await Should.ThrowAsync<ProblemException>(() => SubmitAsync(input))).Problem;
        problem.Code.ShouldBe(code, problem.Message);
        problem.Message.ShouldContain(words);
    }

    private async Task<T> ReadAsync<T>(string path) => (await service.Http.GetFromJsonAsync<T>(path, QueueMaaSJson.Relaxed, Cancel))!;
}
