using System.Text.Json;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Life;

namespace QueueMaaS.Inference.Evaluation;

/// <summary>Finds how a model was trained: the job is kept for as long as the service keeps jobs, the settings for as long as the version.</summary>
public sealed class EvaluatedTrainings(IJobStore jobs)
{
    internal async Task<EvaluatedTraining?> FindAsync(string tenant, ModelVersion version, CancellationToken cancellationToken)
    {
        // A model that was made of a checkpoint has its training up to then.
        if (version.TrainedBy?.Split('/') is not [var id, ..] || await jobs.FindAsync(tenant, id, cancellationToken) is not { Kind: JobKind.Training, Output: { } text } job)
            return null;
        // Once the job is deleted, its id may be that of a later one, which has not trained this.
        if (job.CreatedAt > version.CreatedAt)
            return null;
        var output = JsonElement.Parse(text);
        if (!output.TryGetProperty("history", out var history) || history.ValueKind != JsonValueKind.Array)
            return null;
        int? epoch = output.TryGetProperty("epoch", out var exported) && exported.TryGetInt32(out var number) ? number : null;
        return new(id, RecipeOf(version.Card), version.Card?.Parameters, epoch, history.Deserialize<IReadOnlyList<EpochMetrics>>(QueueMaaSJson.Relaxed)!);
    }

    private static string? RecipeOf(ModelCard? card) =>
        card?.Parameters is { ValueKind: JsonValueKind.Object } parameters && parameters.TryGetProperty("recipe", out var recipe) && recipe.ValueKind == JsonValueKind.String ? recipe.GetString() : null;
}
