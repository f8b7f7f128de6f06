using System.Text.Json;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Execution;

namespace QueueMaaS.Inference.Evaluation;

/// <summary>Runs one evaluation job.</summary>
public sealed class EvaluationJobExecutor(Evaluator evaluator) : IJobExecutor
{
    /// <inheritdoc/>
    public JobKind Kind => JobKind.Evaluation;

    /// <inheritdoc/>
    public async Task<object> ExecuteAsync(JobAttempt attempt, CancellationToken cancellationToken) =>
        await evaluator.RunAsync(attempt, JsonSerializer.Deserialize<EvaluationInput>(attempt.Job.Input, QueueMaaSJson.Relaxed)!, cancellationToken);
}
