using System.Diagnostics;
using System.Text.Json;
using Google.Protobuf;
using Microsoft.AspNetCore.Builder;
using QueueMaaS.Client;
using QueueMaaS.Contracts;
using QueueMaaS.Onnx;
using QueueMaaS.Serving;

namespace QueueMaaS.BatchBench;

/// <summary>A whole service in this process, with folders of its own that go away with it.</summary>
internal sealed class BatchService : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly string _folder;
    private readonly HttpClient _http;

    private BatchService(WebApplication app, string folder, string kind)
    {
        _app = app;
        _folder = folder;
        Kind = kind;
        _http = new HttpClient { BaseAddress = new Uri(app.Urls.First() + "/"), Timeout = TimeSpan.FromMinutes(60) };
        Api = new QueueMaaSClient(_http);
    }

    public string Kind { get; }

    public QueueMaaSClient Api { get; }

    public HttpClient Http => _http;

    /// <summary>A place for files.</summary>
    public string Folder => _folder;

    public static async Task<BatchService> StartAsync()
    {
        var folder = Directory.CreateTempSubdirectory("queuemaas-bench-").FullName;
        var servers = Environment.GetEnvironmentVariable("Bus__RabbitMq") is { Length: > 0 };
        string[] own = servers ? ["--Storage:MigrateAtStart=true"] : ["--Bus:RabbitMq=", "--Storage:PostgreSql=", "--Storage:Redis="];
        var app = QueueMaaSHost.Build(["--urls=http://127.0.0.1:0", $"--Storage:DataFolder={folder}", "--Logging:LogLevel:Default=Error", "--Api:MaxUploadBytes=100000000000", .. own]);
        await QueueMaaSHost.PrepareDatabaseAsync(app, CancellationToken.None);
        await app.StartAsync();
        return new BatchService(app, folder, servers ? "RabbitMQ, PostgreSQL and Redis" : "embedded");
    }

    public async Task<string> UploadAsync(string path)
    {
        await using var file = File.OpenRead(path);
        return (await Api.UploadArtifactAsync(file)).Id;
    }

    public async Task RegisterAsync(string name, ModelProto model, ModelPipeline? pipeline = null)
    {
        using var form = new MultipartFormDataContent { { new ByteArrayContent(model.ToByteArray()), "model", "model.onnx" } };
        if (pipeline is not null)
            form.Add(new StringContent(JsonSerializer.Serialize(pipeline, QueueMaaSJson.Relaxed)), "pipeline");
        using var response = await _http.PutAsync($"v1/models/{name}", form);
        response.EnsureSuccessStatusCode();
    }

    /// <summary>Runs a batch job to its end; answers items a second from submission to end.</summary>
    public async Task<(double PerSecond, BatchOutput Output)> RunAsync(BatchInput input)
    {
        var clock = Stopwatch.StartNew();
        var job = await Api.WaitAsync((await Api.SubmitAsync(QueueMaaSClient.Batch(input))).Id);
        if (job.State != JobState.Succeeded)
            throw new InvalidOperationException($"{job.Error?.Code}: {job.Error?.Message}");
        var output = job.Output!.Value.Deserialize<BatchOutput>(QueueMaaSJson.Relaxed)!;
        return (output.Items / clock.Elapsed.TotalSeconds, output);
    }

    /// <summary>Runs an evaluation to its end; answers items a second from submission to end.</summary>
    public async Task<double> EvaluateAsync(EvaluationInput input)
    {
        var clock = Stopwatch.StartNew();
        var job = await Api.WaitAsync((await Api.SubmitAsync(QueueMaaSClient.Evaluation(input))).Id);
        if (job.State != JobState.Succeeded)
            throw new InvalidOperationException($"{job.Error?.Code}: {job.Error?.Message}");
        return job.Output!.Value.GetProperty("items").GetInt32() / clock.Elapsed.TotalSeconds;
    }

    public async ValueTask DisposeAsync()
    {
        _http.Dispose();
        await _app.StopAsync();
        await _app.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }
}
