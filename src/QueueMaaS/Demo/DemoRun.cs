using System.Diagnostics;
using System.Text.Json;
using QueueMaaS.Client;
using QueueMaaS.Contracts;
using QueueMaaS.Serving;
using Spectre.Console;

namespace QueueMaaS.Demo;

/// <summary>The whole circle, as a user would go it: data → training job → deployed model → inference jobs → batch job → webhook.</summary>
internal sealed class DemoRun(DemoSettings settings)
{
    private const int SingleImages = 300;
    private const string Model = "demo";
    private readonly string _secret = WebhookSignature.NewSecret();

    /// <exception cref="DemoFailedException">A step did not give what it should.</exception>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        CheckSettings();
        // Without a terminal there is no width to keep to; the tables need some.
        if (!AnsiConsole.Profile.Out.IsTerminal)
            AnsiConsole.Profile.Width = 120;
        var clock = Stopwatch.StartNew();
        var folder = Directory.CreateTempSubdirectory("queuemaas-demo-").FullName;
        var app = QueueMaaSHost.Build(Settings());
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, app.Lifetime.ApplicationStopping);
        await using var webhooks = new WebhookListener(_secret);
        try
        {
            Step("Starting QueueMaaS" + (settings.Servers ? " on the configured servers" : ", all roles embedded: SQLite, in-process bus, local files"));
            await QueueMaaSHost.PrepareDatabaseAsync(app, cancellationToken);
            await app.StartAsync(cancellationToken);
            using var http = new HttpClient { BaseAddress = new Uri(app.Urls.First().TrimEnd('/') + "/"), Timeout = TimeSpan.FromMinutes(10) };
            var circle = new Circle(new QueueMaaSClient(http), app.Services.GetRequiredService<BusJobClient>(), webhooks, await webhooks.StartAsync(stop.Token), Path.Combine(folder, "data.zip"));
            await GoRoundAsync(circle, stop.Token);
            SayWhere(http.BaseAddress!, clock.Elapsed);
            if (settings.Stay)
                await app.WaitForShutdownAsync(cancellationToken);
        }
        finally
        {
            // A demo that was cancelled still stops its own parts in order.
            await app.StopAsync(CancellationToken.None);
            await app.DisposeAsync();
            Directory.Delete(folder, recursive: true);
        }
    }

    /// <summary>What cannot work is said before anything is made.</summary>
    private void CheckSettings()
    {
        Require(settings.Epochs is >= 1 and <= 1000, $"--epochs is {settings.Epochs}; it has to be from 1 to 1000.");
        Require(settings.Limit is null or >= 1, $"--limit is {settings.Limit}; it has to be at least 1.");
        if (!settings.Servers)
            return;
        string[] needed = ["Bus__RabbitMq", "Storage__PostgreSql", "Storage__Redis"];
        var missing = needed.Where(name => string.IsNullOrWhiteSpace(Environment.GetEnvironmentVariable(name))).ToArray();
        Require(missing.Length == 0, $"--servers needs the servers' addresses; not set: {string.Join(", ", missing)}. The README's part `On real servers` shows them.");
    }

    private async Task GoRoundAsync(Circle circle, CancellationToken cancellationToken)
    {
        Step(settings.Data is null ? "Making a data set of shapes" : $"Packing {settings.Data}");
        var name = await DemoData.PrepareAsync(settings.Data, circle.Zip, cancellationToken);
        await using (var zip = File.OpenRead(circle.Zip))
            circle.Dataset = await circle.Api.UploadDatasetAsync(name, zip, cancellationToken);
        var card = circle.Dataset.Card;
        Say($"{circle.Dataset.Name}@{circle.Dataset.Version}: {card.Format}, {string.Join(", ", card.Splits.Select(split => $"{split.Value:n0} {split.Key}"))} images of {card.Width}×{card.Height}×{card.Channels}, {card.Classes.Count} classes");

        var trained = await TrainAsync(circle, cancellationToken);
        await InferAsync(circle, trained, cancellationToken);
        await BatchAsync(circle, trained, cancellationToken);
    }

    private async Task<TrainingOutput> TrainAsync(Circle circle, CancellationToken cancellationToken)
    {
        Step("Training job over the bus: cnn-small");
        var submission = QueueMaaSClient.Training(new TrainingInput { Model = Model, Dataset = $"{circle.Dataset!.Name}@{circle.Dataset.Version}", Epochs = settings.Epochs, Limit = settings.Limit, Deploy = "production" });
        var id = await circle.Bus.SubmitAsync(submission with { Webhook = new WebhookTarget { Url = circle.HookUrl, Secret = _secret } }, cancellationToken);
        var job = await TrainingDisplay.FollowAsync(circle.Api, id, settings.Epochs, cancellationToken);
        var output = Output<TrainingOutput>(job);
        Say($"validation accuracy {output.ValidationAccuracy:p2} on {output.ValidationImages:n0} images not trained on; {output.Parameters:n0} parameters; {output.Seconds:0} s on {output.Device}");
        if (output.Corrupt.Count > 0)
            Say($"{output.Corrupt.Count} images could not be read and were left out, such as {string.Join(", ", output.Corrupt.Examples.Take(3))}");
        Say($"ONNX against the trained model on {output.Parity.Images} images: largest difference {output.Parity.MaxAbsolute:e1}, same label on {output.Parity.SameLabel:p0}");
        var version = await circle.Api.GetModelAsync($"{Model}@{output.Alias}", cancellationToken);
        Require(version.Version == output.Version, $"The alias {output.Alias} points at version {version.Version}, not at {output.Version}.");
        Say($"registered as {Model}@{output.Version} and deployed as {Model}@{output.Alias}");
        await VerifyHookAsync(circle, id, "job.started", cancellationToken);
        await VerifyHookAsync(circle, id, "job.completed", cancellationToken);
        return output;
    }

    private static async Task InferAsync(Circle circle, TrainingOutput trained, CancellationToken cancellationToken)
    {
        var images = DemoData.ReadTestImages(circle.Zip, circle.Dataset!.Card, SingleImages);
        Step($"{images.Count} inference jobs over the bus, one image each");
        var clock = Stopwatch.StartNew();
        var jobs = await Task.WhenAll(images.Select(async image =>
        {
            var id = await circle.Bus.SubmitAsync(QueueMaaSClient.Inference(new InferenceInput { Model = $"{Model}@{trained.Version}", Image = new ImageSource { Base64 = image.Base64 } }), cancellationToken);
            return (image.Label, Output: Output<InferenceOutput>(await FindAsync(circle.Api, id, cancellationToken)));
        }));
        var right = jobs.Count(job => job.Output.Labels![0][0].Label == job.Label);
        Say($"{jobs.Length / clock.Elapsed.TotalSeconds:n0} jobs/s from submission to result; {(double)right / jobs.Length:p1} right");
        TrainingDisplay.BatchSizes(jobs.GroupBy(job => job.Output.Batch.Size).ToDictionary(group => group.Key, group => (int)Math.Ceiling((double)group.Count() / group.Key)));
    }

    private async Task BatchAsync(Circle circle, TrainingOutput trained, CancellationToken cancellationToken)
    {
        Step("One batch job over the bus: every test image");
        var submission = QueueMaaSClient.Batch(new BatchInput { Model = $"{Model}@{trained.Version}", Dataset = $"{circle.Dataset!.Name}@{circle.Dataset.Version}", Split = "test" });
        var id = await circle.Bus.SubmitAsync(submission with { Webhook = new WebhookTarget { Url = circle.HookUrl, Secret = _secret } }, cancellationToken);
        var output = Output<BatchOutput>(await FindAsync(circle.Api, id, cancellationToken));
        Say($"{output.Succeeded:n0} of {output.Items:n0} items, {output.Failed} failed, {output.Items / output.Seconds:n0} items/s; accuracy {output.Accuracy:p2}");
        TrainingDisplay.BatchSizes(output.BatchSizes!);
        TrainingDisplay.Confusion(output.Labels!, output.ConfusionMatrix!);
        // Chance is one in so many classes: a model not clearly above it has learned nothing, whatever else worked.
        Require(output.Accuracy > 1.5 / output.Labels!.Count, $"The accuracy of {output.Accuracy:p1} is hardly above chance.");
        await using var file = await circle.Api.OpenArtifactAsync(output.OutputArtifact, cancellationToken);
        using var reader = new StreamReader(file);
        var lines = (await reader.ReadToEndAsync(cancellationToken)).Split('\n', StringSplitOptions.RemoveEmptyEntries).Length;
        Require(lines == output.Succeeded, $"The output file has {lines} lines for {output.Succeeded} items.");
        Say($"output file {output.OutputArtifact[..19]}…: {lines:n0} lines");
        await VerifyHookAsync(circle, id, "job.completed", cancellationToken);
    }

    private static async Task<Job> FindAsync(QueueMaaSClient api, string id, CancellationToken cancellationToken)
    {
        // The bus confirmed the message; its row follows within moments.
        for (var clock = Stopwatch.StartNew(); ; await Task.Delay(20, cancellationToken))
        {
            try
            {
                return await api.WaitAsync(id, cancellationToken);
            }
            catch (ProblemException exception) when (exception.Problem.Code == ProblemCodes.JobNotFound && clock.Elapsed < TimeSpan.FromSeconds(30))
            {
                continue;
            }
        }
    }

    private static T Output<T>(Job job)
    {
        Require(job.State == JobState.Succeeded, $"Job {job.Id} {job.State.ToString().ToLowerInvariant()}: {job.Error?.Code}: {job.Error?.Message}");
        return job.Output!.Value.Deserialize<T>(QueueMaaSJson.Relaxed)!;
    }

    private static async Task VerifyHookAsync(Circle circle, string id, string type, CancellationToken cancellationToken)
    {
        try
        {
            Require(await circle.Webhooks.WaitAsync(id, type, TimeSpan.FromSeconds(20), cancellationToken), $"The webhook {type} has a wrong signature.");
            Say($"webhook {type} received, signature verified");
        }
        catch (TimeoutException)
        {
            throw new DemoFailedException($"The webhook {type} of job {id} did not come within 20 s.");
        }
    }

    private string[] Settings()
    {
        string[] common = ["--urls=http://127.0.0.1:0", "--Webhooks:AllowPrivateTargets=true", "--Logging:LogLevel:Default=Error", "--Roles=all"];
        return settings.Servers ? [.. common, "--Storage:MigrateAtStart=true"] : [.. common, "--Bus:RabbitMq=", "--Storage:PostgreSql=", "--Storage:Redis="];
    }

    private void SayWhere(Uri address, TimeSpan took)
    {
        Step($"Done in {took.TotalSeconds:0} s");
        Say($"results, model and data set: {Path.GetFullPath("queuemaas-data")}");
        Say(settings.Stay ? $"API and its page: {address}docs (Ctrl-C ends)" : "API and its page: dotnet run --project src/QueueMaaS -c Release -- serve, then http://127.0.0.1:8080/docs");
    }

    private static void Step(string text) => AnsiConsole.MarkupLine($"[bold green]»[/] [bold]{text.EscapeMarkup()}[/]");

    private static void Say(string text) => AnsiConsole.MarkupLine($"    {text.EscapeMarkup()}");

    private static void Require(bool holds, string otherwise)
    {
        if (!holds)
            throw new DemoFailedException(otherwise);
    }

    private sealed record Circle(QueueMaaSClient Api, BusJobClient Bus, WebhookListener Webhooks, string HookUrl, string Zip)
    {
        public Dataset? Dataset { get; set; }
    }
}
