using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Life;

namespace QueueMaaS.Jobs.Catalog;

/// <summary>The stored states of trainings.</summary>
public interface ITrainingCheckpoints
{
    /// <summary>A job's checkpoints that are kept, oldest first.</summary>
    Task<IReadOnlyList<TrainingCheckpoint>> ListAsync(string jobId, CancellationToken cancellationToken);

    /// <summary>Exports a checkpoint, checks the export and registers it as the next version of a model. A repeat gives the version made before.</summary>
    /// <param name="job">The training.</param>
    /// <param name="checkpointId">Its checkpoint.</param>
    /// <param name="model">The model's name. Default: the one the job trains.</param>
    /// <param name="alias">An alias to point at the version.</param>
    /// <param name="cancellationToken">Stops.</param>
    /// <exception cref="ProblemException"><c>checkpoint_not_found</c>, <c>export_parity_failed</c>.</exception>
    Task<ModelVersion> RegisterAsync(JobRecord job, string checkpointId, string? model, string? alias, CancellationToken cancellationToken);
}
