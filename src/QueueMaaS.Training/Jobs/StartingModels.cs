using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Catalog;
using QueueMaaS.Training.Checkpoints;
using QueueMaaS.Training.Running;
using QueueMaaS.Training.Specification;

namespace QueueMaaS.Training.Jobs;

/// <summary>Finds the weights of a registered model to begin with.</summary>
internal static class StartingModels
{
    /// <exception cref="ProblemException"><c>model_not_found</c>, or <c>specification_invalid</c> for a model that was not trained here.</exception>
    public static async Task<ModelVersion> RequireAsync(IModelCatalog models, string tenant, string reference, CancellationToken cancellationToken)
    {
        var version = await models.RequireAsync(tenant, reference, cancellationToken);
        return version.Card?.Weights is not null
            ? version
            : throw new ProblemException(ProblemCodes.SpecificationInvalid, $"The model `{version.Name}@{version.Version}` was not trained by this service, so its weights cannot be begun with. Name one that a training job made.", ("startFrom", reference));
    }

    public static async Task<StartingWeights> ReadAsync(ModelVersion version, IArtifactStore artifacts, CancellationToken cancellationToken)
    {
        var (weights, lineage) = SafetensorsFile.Read(await artifacts.GetFileAsync(version.Card!.Weights!, cancellationToken));
        var network = System.Text.Json.JsonSerializer.Deserialize<IReadOnlyList<System.Text.Json.JsonElement>>(lineage["queuemaas.network"], QueueMaaSJson.Relaxed)!;
        return new($"{version.Name}@{version.Version}", NetworkJson.Read(lineage["queuemaas.preset"], network), weights);
    }
}
