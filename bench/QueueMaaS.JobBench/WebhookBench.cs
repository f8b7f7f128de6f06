using System.Collections.Concurrent;
using System.Diagnostics;
using System.Text.Json;
using Google.Protobuf;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using QueueMaaS.Bench;
using QueueMaaS.Client;
using QueueMaaS.Contracts;

namespace QueueMaaS.JobBench;

/// <summary>From the submission of an image to <c>cnn-small</c> to its webhook, over an API process, two workers and a notifier, at random moments, with and without <c>kill -9</c>.</summary>
internal sealed class WebhookBench : IAsyncDisposable
{
    private const int Callers = 64;
    private const int MaxRounds = 12;
    private static readonly TimeSpan BetweenKills = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan Search = TimeSpan.FromSeconds(15);
    private static readonly TimeSpan Longest = TimeSpan.FromMinutes(3);
    private readonly ConcurrentDictionary<string, TaskCompletionSource<long>> _waiting = new(StringComparer.Ordinal);
    private readonly string _folder = Directory.CreateTempSubdirectory("queuemaas-bench-").FullName;
    private readonly HttpClient _http = new() { Timeout = TimeSpan.FromSeconds(30) };
    private readonly WebApplication _receiver;
    private int _twice;
    private readonly ServiceProcess _api;
    private readonly ServiceProcess[] _killed;
    private readonly string _input = $$"""{"model":"cnn-small","inputs":[{"name":"x","shape":[1,3,32,32],"datatype":"FP32","data":[{{string.Join(',', Enumerable.Repeat("0.5", 3072))}}]}]}""";

    private WebhookBench(WebApplication receiver, string postgreSql)
    {
        _receiver = receiver;
        var settings = new Dictionary<string, string>
        {
            ["Storage:PostgreSql"] = postgreSql,
            ["Storage:DataFolder"] = _folder,
            ["Storage:MigrateAtStart"] = "true",
            ["Webhooks:AllowPrivateTargets"] = "true",
            ["Webhooks:Secret"] = WebhookSignature.NewSecret(),
            ["Logging:LogLevel:Default"] = "Critical",
            ["Logging:LogLevel:Microsoft"] = "Critical",
            ["Logging:LogLevel:MassTransit"] = "None",
        };
        _api = new ServiceProcess("api", settings);
        _killed = [new ServiceProcess("inference", settings), new ServiceProcess("inference", settings), new ServiceProcess("notify", settings)];
    }

    public static async Task RunAsync(int seconds)
    {
        var builder = WebApplication.CreateSlimBuilder(["--urls=http://127.0.0.1:0"]);
        builder.Logging.ClearProviders();
        await using var receiver = builder.Build();
        await using var bench = new WebhookBench(receiver, await Service.CreateDatabaseAsync());
        receiver.MapPost("/", bench.ReceiveAsync);
        await receiver.StartAsync();
        await bench._api.WaitUntilReadyAsync();
        bench._http.BaseAddress = new Uri(bench._api.Url);
        await new QueueMaaSClient(bench._http).UploadModelAsync("cnn-small", new MemoryStream(BenchGraphs.CnnSmall().ToByteArray()), CancellationToken.None);

        var highest = await bench.SteadyAsync();
        Console.WriteLine($"highest load, {Callers} callers that wait for their webhooks: {highest:n0} jobs/s");
        Console.WriteLine($"| {seconds} s of Poisson arrivals, {highest / 2:n0} jobs/s | jobs | p50, ms | p95, ms | p99, ms | longest, ms | webhooks that came twice |\n| --- | --- | --- | --- | --- | --- | --- |");
        foreach (var kills in (bool[])[false, true])
        {
            var (times, twice) = await bench.PoissonAsync(highest / 2, TimeSpan.FromSeconds(seconds), kills);
            Console.WriteLine($"| {(kills ? "a worker or the notifier killed every 10 s, by turns" : "undisturbed")} | {times.Length:n0} | {Turns.Percentile(times, 0.5):n0} | {Turns.Percentile(times, 0.95):n0} | {Turns.Percentile(times, 0.99):n0} | {times.Max():n0} | {twice} |");
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var process in (ServiceProcess[])[_api, .. _killed])
            process.Dispose();
        _http.Dispose();
        await _receiver.StopAsync();
        Directory.Delete(_folder, recursive: true);
    }

    private async Task<IResult> ReceiveAsync(HttpRequest request)
    {
        var received = Stopwatch.GetTimestamp();
        using var body = await JsonDocument.ParseAsync(request.Body);
        if (!_waiting.TryGetValue(body.RootElement.GetProperty("data").GetProperty("jobId").GetString()!, out var job) || !job.TrySetResult(received))
            Interlocked.Increment(ref _twice);
        return Results.Ok();
    }

    /// <summary>The highest load once it no longer grows: five fresh processes compile for a minute.</summary>
    private async Task<double> SteadyAsync()
    {
        var best = 0.0;
        for (var round = 0; round < MaxRounds; round++)
        {
            var rate = await HighestAsync();
            Console.Error.WriteLine($"{rate:n0} jobs/s");
            if (round > 2 && rate < best * 1.1)
                return Math.Max(rate, best);
            best = Math.Max(rate, best);
        }

        return best;
    }

    private async Task<double> HighestAsync()
    {
        var done = 0;
        var clock = Stopwatch.StartNew();
        await Task.WhenAll(Enumerable.Range(0, Callers).Select(_ => Task.Run(async () =>
        {
            while (clock.Elapsed < Search)
            {
                await CallAsync();
                Interlocked.Increment(ref done);
            }
        })));
        return done / clock.Elapsed.TotalSeconds;
    }

    /// <summary>Jobs at random moments, whether or not those before have ended.</summary>
    private async Task<(double[] Milliseconds, int Twice)> PoissonAsync(double rate, TimeSpan time, bool kills)
    {
        var random = new Random(7);
        var calls = new List<Task<double>>();
        _twice = 0;
        using var stop = new CancellationTokenSource();
        var killing = kills ? KillAsync(stop.Token) : Task.CompletedTask;
        var clock = Stopwatch.StartNew();
        var next = 0.0;
        while (next < time.TotalSeconds)
        {
            next += -Math.Log(1 - random.NextDouble()) / rate;
            var wait = next - clock.Elapsed.TotalSeconds;
            if (wait > 0)
                await Task.Delay(TimeSpan.FromSeconds(wait));
            calls.Add(CallAsync());
        }

        await stop.CancelAsync();
        await killing;
        return (await Task.WhenAll(calls), _twice);
    }

    private async Task KillAsync(CancellationToken cancellationToken)
    {
        for (var turn = 0; ; turn++)
        {
            await Task.Delay(BetweenKills, cancellationToken).ContinueWith(static _ => { }, TaskScheduler.Default);
            if (cancellationToken.IsCancellationRequested)
                return;
            _killed[turn % _killed.Length].Replace();
        }
    }

    private async Task<double> CallAsync()
    {
        var id = Guid.CreateVersion7().ToString();
        var received = _waiting[id] = new TaskCompletionSource<long>(TaskCreationOptions.RunContinuationsAsynchronously);
        var sent = Stopwatch.GetTimestamp();
        using var response = await HttpJobs.PostAsync(_http, $$$"""{"id":"{{{id}}}","kind":"inference","input":{{{_input}}},"webhook":{"url":"{{{_receiver.Urls.First()}}}/","events":["completed"]}}""");
        return Stopwatch.GetElapsedTime(sent, await received.Task.WaitAsync(Longest)).TotalMilliseconds;
    }
}
