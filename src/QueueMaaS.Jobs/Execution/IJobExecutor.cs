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
    /// <exception cref="OperationCanceledException">The token was cancelled: by shutdown, by the user, by the attempt's time limit, or because the claim was lost.</exception>
    Task<object> ExecuteAsync(JobAttempt attempt, CancellationToken cancellationToken);
}

/// <summary>One attempt at a job, as its executor sees it.</summary>
public sealed class JobAttempt(JobRecord job, Func<JobReport, CancellationToken, Task> report, Func<JobReport, CancellationToken, Task<bool>> record)
{
    public JobRecord Job { get; } = job;

    /// <summary>1, 2, 4 or 8: by how much this attempt must divide its batches, because attempts before it ran out of memory.</summary>
    public int BatchDivisor => Job.BatchDivisor;

    /// <summary>Stores progress under the attempt's fence; throws when the claim no longer stands, so that the work stops.</summary>
    public Task ReportAsync(object progress, CancellationToken cancellationToken) => SendAsync(JobReport.Progress, progress, cancellationToken);

    /// <summary>Adds a line to the job's log.</summary>
    /// <param name="level"><c>debug</c>, <c>info</c>, <c>warning</c> or <c>error</c>.</param>
    /// <param name="text">The line.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public Task LogAsync(string level, string text, CancellationToken cancellationToken) => SendAsync(JobReport.Log, new { level, text }, cancellationToken);

    /// <summary>Adds measurements to the job's history, by name.</summary>
    public Task MeasureAsync(IReadOnlyDictionary<string, double> metrics, CancellationToken cancellationToken) => SendAsync(JobReport.Metrics, metrics, cancellationToken);

    /// <summary>Adds an event of another type to the job's history under the attempt's fence; false where the claim no longer stands. Possible even after the attempt was stopped by a pause or a shutdown.</summary>
    public Task<bool> RecordAsync(string type, object data, CancellationToken cancellationToken) =>
        record(new JobReport(type, JsonSerializer.Serialize(data, data.GetType(), QueueMaaSJson.Relaxed), Announce: false), cancellationToken);

    private Task SendAsync(string type, object data, CancellationToken cancellationToken) =>
        report(new JobReport(type, JsonSerializer.Serialize(data, data.GetType(), QueueMaaSJson.Relaxed), Announce: false), cancellationToken);
}
