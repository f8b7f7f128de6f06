using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using StackExchange.Redis;

namespace QueueMaaS.JobBench;

/// <summary>Status polls of an ended job beside a bare Kestrel endpoint that reads the same bytes from Redis.</summary>
internal static class PollBench
{
    private const int Turn = 5;

    public static async Task RunAsync(int polls)
    {
        await using var service = await Service.StartAsync(NoOp.Install);
        using var http = new HttpClient();
        using var submitted = await http.PostAsync(service.Url + "/v1/jobs?wait=10", new StringContent(NoOp.Body, Encoding.UTF8, "application/json"));
        var id = (await submitted.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("id").GetString()!;
        var ours = $"{service.Url}/v1/jobs/{id}";
        var body = await http.GetByteArrayAsync(ours);

        await using var redis = await ConnectionMultiplexer.ConnectAsync(Environment.GetEnvironmentVariable("Storage__Redis")!);
        await redis.GetDatabase().StringSetAsync($"bare:{id}", body);
        var builder = WebApplication.CreateSlimBuilder(["--urls=http://127.0.0.1:0"]);
        builder.Logging.ClearProviders();
        await using var bare = builder.Build();
        bare.MapGet("/{id}", async (string id) => Results.Bytes((byte[])(await redis.GetDatabase().StringGetAsync($"bare:{id}"))!, "application/json"));
        await bare.StartAsync();
        var theirs = $"{bare.Urls.First()}/{id}";

        Console.WriteLine("| callers | status polls/s | bare Kestrel and Redis, /s | ratio |\n| --- | --- | --- | --- |");
        foreach (var callers in (int[])[1, 16, 64])
        {
            var (a, b) = await Turns.MediansAsync(Turn, () => Turns.RateAsync(polls, callers, _ => GetAsync(ours)), () => Turns.RateAsync(polls, callers, _ => GetAsync(theirs)));
            Console.WriteLine($"| {callers} | {a:n0} | {b:n0} | {a / b:0.00} |");
        }

        async Task GetAsync(string url)
        {
            using var response = await http.GetAsync(url);
            if ((await response.EnsureSuccessStatusCode().Content.ReadAsByteArrayAsync()).Length != body.Length)
                throw new InvalidOperationException($"{url} did not answer the job.");
        }
    }
}
