using System.Collections.Concurrent;
using System.Diagnostics;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Execution;

namespace QueueMaaS.JobBench;

/// <summary>How long after it was sent a job's work begins, one job at a time on an idle system.</summary>
internal static class StartBench
{
    public static async Task RunAsync(int jobs)
    {
        var clock = new Executor();
        await using var service = await Service.StartAsync(services =>
        {
            NoOp.Install(services);
            services.RemoveAll<IJobExecutor>();
            services.AddSingleton<IJobExecutor>(clock);
        });
        using var http = new HttpClient { BaseAddress = new Uri(service.Url) };
        await MeasureAsync(200, ByHttpAsync);
        await using var load = await BusLoad.ConnectAsync(service.RabbitMq);
        Console.WriteLine("| from submission to the start of the work | p50, ms | p99, ms |\n| --- | --- | --- |");
        foreach (var (name, send) in (IReadOnlyList<(string, Func<string, Task>)>)[("by HTTP", ByHttpAsync), ("by the bus", id => load.PublishAsync(id, Body(id)))])
        {
            var times = await MeasureAsync(jobs, send);
            Console.WriteLine($"| {name} | {Turns.Percentile(times, 0.5):0.0} | {Turns.Percentile(times, 0.99):0.0} |");
        }

        async Task<List<double>> MeasureAsync(int count, Func<string, Task> send)
        {
            var times = new List<double>();
            for (var i = 0; i < count; i++)
            {
                var id = Guid.CreateVersion7().ToString();
                var started = clock.Expect(id);
                var sent = Stopwatch.GetTimestamp();
                await send(id);
                times.Add(Stopwatch.GetElapsedTime(sent, await started.WaitAsync(TimeSpan.FromSeconds(30))).TotalMilliseconds);
                // The end is written, and the system idle again, before the next one.
                await Task.Delay(20);
            }

            return times;
        }

        async Task ByHttpAsync(string id)
        {
            using var response = await HttpJobs.PostAsync(http, Body(id));
        }
    }

    private static string Body(string id) => $$$"""{"id":"{{{id}}}","kind":"inference","input":{"model":"no-op"}}""";

    /// <summary>Notes when it begins.</summary>
    private sealed class Executor : IJobExecutor
    {
        private readonly ConcurrentDictionary<string, TaskCompletionSource<long>> _expected = new(StringComparer.Ordinal);

        public JobKind Kind => JobKind.Inference;

        public Task<long> Expect(string id) => (_expected[id] = new TaskCompletionSource<long>(TaskCreationOptions.RunContinuationsAsynchronously)).Task;

        public Task<object> ExecuteAsync(JobAttempt attempt, CancellationToken cancellationToken)
        {
            _expected[attempt.Job.Id].TrySetResult(Stopwatch.GetTimestamp());
            return Task.FromResult<object>(JsonDocument.Parse("{}").RootElement);
        }
    }
}
