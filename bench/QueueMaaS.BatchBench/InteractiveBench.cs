using System.Diagnostics;
using System.Globalization;
using System.Text;
using QueueMaaS.Bench;
using QueueMaaS.Client;
using QueueMaaS.Contracts;
using QueueMaaS.Data.Arrays;

namespace QueueMaaS.BatchBench;

/// <summary>What a large batch job does to the requests of people who wait.</summary>
internal static class InteractiveBench
{
    public static async Task RunAsync(BatchService service, double scale)
    {
        await service.RegisterAsync("shared", BenchGraphs.CnnSmall());
        var count = (int)(1_000_000 * scale);
        var path = Path.Combine(service.Folder, "million.npy");
        await using (var file = File.Create(path))
        {
            file.Write(NpyHeader.Write(Datatypes.Fp32, [count, 3, 32, 32]));
            var block = new byte[1000 * 3072 * 4];
            for (var at = 0; at < count; at += 1000)
                file.Write(block);
        }

        var artifact = await service.UploadAsync(path);
        File.Delete(path);
        var body = $$"""{"inputs":[{"name":"x","shape":[1,3,32,32],"datatype":"FP32","data":[{{string.Join(',', Enumerable.Repeat("0.5", 3072))}}]}]}""";
        await MeasureAsync(service, body, 5);
        var without = await MeasureAsync(service, body, 20);
        var job = await service.Api.SubmitAsync(QueueMaaSClient.Batch(new BatchInput { Model = "shared", Artifact = artifact, Output = BatchOutputFormat.Npy }));
        await foreach (var e in service.Api.EventsAsync(job.Id))
        {
            if (e.Type == "progress" && e.Data?.GetProperty("done").GetInt64() > 0)
                break;
        }

        var during = await MeasureAsync(service, body, 20);
        await service.Api.CancelAsync(job.Id);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"interactive requests (20/s at random moments), p50 and p99 in ms: {without.P50:N2} and {without.P99:N2} alone, {during.P50:N2} and {during.P99:N2} beside a batch job of {count:N0} rows: p99 × {during.P99 / without.P99:N2} (aim 3)"));
    }

    /// <summary>Requests at random moments, 20 a second, whether or not the ones before were answered.</summary>
    private static async Task<(double P50, double P99)> MeasureAsync(BatchService service, string body, double seconds)
    {
        var random = new Random(7);
        var calls = new List<Task<double>>();
        var clock = Stopwatch.StartNew();
        var next = 0.0;
        while (next < seconds)
        {
            next += -Math.Log(1 - random.NextDouble()) / 20;
            var wait = next - clock.Elapsed.TotalSeconds;
            if (wait > 0)
                await Task.Delay(TimeSpan.FromSeconds(wait));
            calls.Add(CallAsync());
        }

        var sorted = (await Task.WhenAll(calls)).Order().ToArray();
        return (sorted[sorted.Length / 2], sorted[(int)(sorted.Length * 0.99)]);

        async Task<double> CallAsync()
        {
            var begun = Stopwatch.GetTimestamp();
            using var content = new StringContent(body, Encoding.UTF8, "application/json");
            using var response = await service.Http.PostAsync("v2/models/shared/infer", content);
            response.EnsureSuccessStatusCode();
            return Stopwatch.GetElapsedTime(begun).TotalMilliseconds;
        }
    }
}
