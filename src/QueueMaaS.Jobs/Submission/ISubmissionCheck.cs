using System.Text.Json;
using QueueMaaS.Contracts;

namespace QueueMaaS.Jobs.Submission;

/// <summary>Looks at the input of one kind of job before it is accepted, and refuses what cannot succeed.</summary>
public interface ISubmissionCheck
{
    JobKind Kind { get; }

    /// <summary>Throws <see cref="ProblemException"/> where the input is at fault; answers what is to be listed as the job's model.</summary>
    Task<string?> CheckAsync(string tenant, JsonElement input, CancellationToken cancellationToken);
}
