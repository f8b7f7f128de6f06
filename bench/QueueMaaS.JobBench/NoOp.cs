using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Catalog;
using QueueMaaS.Jobs.Estimation;
using QueueMaaS.Jobs.Execution;
using QueueMaaS.Jobs.Submission;

namespace QueueMaaS.JobBench;

/// <summary>Inference jobs that do nothing, so that what is measured is the way of a job alone.</summary>
internal static class NoOp
{
    public const string Body = """{"kind":"inference","input":{"model":"no-op"}}""";

    public static void Install(IServiceCollection services)
    {
        services.RemoveAll<ISubmissionCheck>();
        services.RemoveAll<IJobExecutor>();
        services.AddSingleton<ISubmissionCheck, Check>();
        services.AddSingleton<IJobExecutor, Executor>();
        services.AddHostedService<Reporter>();
    }

    private sealed class Check : ISubmissionCheck
    {
        public JobKind Kind => JobKind.Inference;

        public Task<CheckedInput> CheckAsync(string tenant, JsonElement input, CancellationToken cancellationToken) => Task.FromResult(new CheckedInput("no-op"));
    }

    private sealed class Executor : IJobExecutor
    {
        private static readonly object Done = new { done = true };

        public JobKind Kind => JobKind.Inference;

        public Task<object> ExecuteAsync(JobAttempt attempt, CancellationToken cancellationToken) => Task.FromResult(Done);
    }

    /// <summary>Tells what its jobs cost, as every worker does of the models that it has measured.</summary>
    private sealed class Reporter(IModelCatalog models, ILoadBoard board, TimeProvider time) : BackgroundService
    {
        protected override async Task ExecuteAsync(CancellationToken stoppingToken)
        {
            using var timer = new PeriodicTimer(TimeSpan.FromSeconds(1), time);
            while (await timer.WaitForNextTickAsync(stoppingToken))
            {
                if (VersionReference.TryParse("no-op", out var reference) && await models.FindAsync("default", reference, stoppingToken) is { } version)
                    await board.PutAsync("bench", [new ModelLoad(version.Artifact, PerRow: 1e-6, PerBatch: 0, BatchSize: 1, Instances: 1, QueuedRows: 0, time.GetUtcNow())], stoppingToken);
            }
        }
    }
}
