using System.Text.Json;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Life;

namespace QueueMaaS.Jobs.Execution;

/// <summary>Does the work of one kind of job.</summary>
public interface IJobExecutor
{
    JobKind Kind { get; }

    /// <summary>Runs one attempt and returns the result, which is stored as JSON.</summary>
    /// <exception cref="ProblemException">The attempt failed for a reason the user is told; tried again only where it is transient.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled: by shutdown, by the user, or because the claim was lost.</exception>
    Task<object> ExecuteAsync(JobAttempt attempt, CancellationToken cancellationToken);
}

/// <summary>One attempt at a job, as its executor sees it.</summary>
public sealed class JobAttempt(JobRecord job, Func<string, CancellationToken, Task> report)
{
    public JobRecord Job { get; } = job;

    /// <summary>Stores progress under the attempt's fence; throws when the claim no longer stands, so that the work stops.</summary>
    public Task ReportAsync(object progress, CancellationToken cancellationToken) =>
        report(JsonSerializer.Serialize(progress, QueueMaaSJson.Relaxed), cancellationToken);
}
