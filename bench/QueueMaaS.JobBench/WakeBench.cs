using System.Globalization;
using System.Net.Http.Json;
using System.Text.Json;
using System.Threading.Channels;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Execution;

namespace QueueMaaS.JobBench;

/// <summary>How long after its end, as it is written in the row, a job is told to whoever waits for it: on the API node that took it, and on another one.</summary>
internal static class WakeBench
{
    public static async Task RunAsync(int jobs)
    {
        var executor = new Executor();
        await using var here = await Service.StartAsync(services =>
        {
            NoOp.Install(services);
            services.RemoveAll<IJobExecutor>();
            services.AddSingleton<IJobExecutor>(executor);
        });
        await using var there = await Service.StartAsync(NoOp.Install, "--Roles=api", $"--Storage:PostgreSql={here.PostgreSql}");
        using var http = new HttpClient { BaseAddress = new Uri(here.Url) };
        await MeasureAsync(there, 100);
        Console.WriteLine("| from a job's end to the answer of `?wait=30` | p50, ms | p99, ms | longest, ms |\n| --- | --- | --- | --- |");
        foreach (var (name, service) in (IReadOnlyList<(string, Service)>)[("on the node that took it", here), ("on another node", there)])
        {
            var times = await MeasureAsync(service, jobs);
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"| {name} | {Turns.Percentile(times, 0.5):0.0} | {Turns.Percentile(times, 0.99):0.0} | {times.Max():0.0} |"));
        }

        async Task<List<double>> MeasureAsync(Service asked, int count)
        {
            var times = new List<double>();
            for (var i = 0; i < count; i++)
            {
                using var response = await HttpJobs.PostAsync(http, NoOp.Body);
                var id = (await response.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("id").GetString();
                var waiting = http.GetFromJsonAsync<JsonElement>($"{asked.Url}/v1/jobs/{id}?wait=30");
                var end = await executor.Started.ReadAsync();
                // The one who waits has been heard by now.
                await Task.Delay(50);
                end.SetResult();
                var job = await waiting;
                times.Add((DateTimeOffset.UtcNow - job.GetProperty("finishedAt").GetDateTimeOffset()).TotalMilliseconds);
            }

            return times;
        }
    }

    /// <summary>Ends each job when it is told to.</summary>
    private sealed class Executor : IJobExecutor
    {
        private readonly Channel<TaskCompletionSource> _started = System.Threading.Channels.Channel.CreateUnbounded<TaskCompletionSource>();

        public JobKind Kind => JobKind.Inference;

        public ChannelReader<TaskCompletionSource> Started => _started.Reader;

        public async Task<object> ExecuteAsync(JobAttempt attempt, CancellationToken cancellationToken)
        {
            var end = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            await _started.Writer.WriteAsync(end, cancellationToken);
            await end.Task;
            return JsonDocument.Parse("{}").RootElement;
        }
    }
}
