using QueueMaaS.Contracts;
using QueueMaaS.Inference.Models;
using QueueMaaS.Inference.Preparation;
using QueueMaaS.Inference.Preparation.Texts;
using QueueMaaS.Jobs.Catalog;

namespace QueueMaaS.Api.Models;

/// <summary>Makes the next version of a model of a file that is in the artifact store, once it has been found fit to be served.</summary>
internal sealed class ModelRegistration(IArtifactStore artifacts, IModelCatalog models, IModelInspector inspector, TokenizerCache tokenizers)
{
    /// <exception cref="ProblemException">The file is no model that can be served, or the pipeline, the settings or the card do not suit it.</exception>
    public async Task<ModelVersion> RegisterAsync(string tenant, string name, NewModel model, CancellationToken cancellationToken)
    {
        var batching = model.Batching ?? new BatchingSettings();
        BatchingCheck.Check(batching);
        CardCheck.Check(model.Card);
        var file = await artifacts.GetFileAsync(model.Artifact.Id, cancellationToken);
        var inspection = await Task.Run(() => inspector.Inspect(ModelPackage.Open(file), batching), cancellationToken);
        await PipelineCheck.CheckAsync(inspection.Signature, model.Pipeline, tokenizers, cancellationToken);
        return await models.RegisterAsync(
            tenant,
            new NewModelVersion
            {
                Name = name,
                Artifact = model.Artifact,
                Signature = inspection.Signature,
                Card = new ModelCard { Batch = inspection.Batch, Padding = inspection.Padding, Isolation = inspection.Isolation, Description = model.Card?.Description, Dataset = model.Card?.Dataset, Parameters = model.Card?.Parameters },
                Metrics = model.Card?.Metrics,
                Pipeline = model.Pipeline,
                Batching = batching,
                Alias = model.Alias,
            },
            cancellationToken);
    }
}

/// <summary>A model before it is looked at.</summary>
internal sealed record NewModel(Artifact Artifact)
{
    public ModelPipeline? Pipeline { get; init; }
    public BatchingSettings? Batching { get; init; }
    public UploadedCard? Card { get; init; }
    public string? Alias { get; init; }
}
