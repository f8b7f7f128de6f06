using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using QueueMaaS.Contracts;
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
    }

    private sealed class Check : ISubmissionCheck
    {
        public JobKind Kind => JobKind.Inference;

        public Task<string?> CheckAsync(string tenant, JsonElement input, CancellationToken cancellationToken) => Task.FromResult<string?>("no-op");
    }

    private sealed class Executor : IJobExecutor
    {
        private static readonly object Done = new { done = true };

        public JobKind Kind => JobKind.Inference;

        public Task<object> ExecuteAsync(JobAttempt attempt, CancellationToken cancellationToken) => Task.FromResult(Done);
    }
}
