using System.Text.Json;
using QueueMaaS.Contracts;

namespace QueueMaaS.Jobs.Submission;

/// <summary>Looks at the input of one kind of job before it is accepted, and refuses what cannot succeed.</summary>
public interface ISubmissionCheck
{
    JobKind Kind { get; }

    /// <summary>Throws <see cref="ProblemException"/> where the input is at fault.</summary>
    Task<CheckedInput> CheckAsync(string tenant, JsonElement input, CancellationToken cancellationToken);
}

/// <summary>What a check found.</summary>
/// <param name="Model">What is to be listed as the job's model.</param>
public readonly record struct CheckedInput(string? Model)
{
    /// <summary>What the check has read of the input, for the executor of the same kind (<see cref="Life.JobRecord.Ready"/>): a job that starts where it is accepted need not be read twice.</summary>
    public object? Ready { get; init; }
}
