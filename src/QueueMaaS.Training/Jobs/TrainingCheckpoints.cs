using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Catalog;
using QueueMaaS.Jobs.Life;
using QueueMaaS.Jobs.Submission;
using QueueMaaS.Onnx;
using QueueMaaS.Training.Checkpoints;
using QueueMaaS.Training.Export;
using QueueMaaS.Training.Recipes;

namespace QueueMaaS.Training.Jobs;

/// <summary>Lists checkpoints and makes models of them. Loads no libtorch: the weights are in the file, and so are outputs of the trained module to check the export with.</summary>
internal sealed class TrainingCheckpoints(JobCheckpoints checkpoints, IArtifactStore artifacts, IModelCatalog models, IModelInspector inspector) : ITrainingCheckpoints
{
    public Task<IReadOnlyList<TrainingCheckpoint>> ListAsync(string jobId, CancellationToken cancellationToken) => checkpoints.ListAsync(jobId, cancellationToken);

    public async Task<ModelVersion> RegisterAsync(JobRecord job, string checkpointId, string? model, string? alias, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(job);
        var checkpoint = (await ListAsync(job.Id, cancellationToken)).FirstOrDefault(c => c.Id == checkpointId)
            ?? throw new ProblemException(ProblemCodes.CheckpointNotFound, $"Job `{job.Id}` has no checkpoint `{checkpointId}`, or it was removed. GET /v1/jobs/{job.Id}/checkpoints lists what there is.", ("checkpoint", checkpointId));
        var file = await ReadAsync(checkpoint, cancellationToken);
        var folder = Directory.CreateTempSubdirectory("queuemaas-checkpoint-").FullName;
        try
        {
            return await RegisterAsync(job, checkpoint, file, folder, model, alias, cancellationToken);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private async Task<CheckpointFile> ReadAsync(TrainingCheckpoint checkpoint, CancellationToken cancellationToken)
    {
        try
        {
            return CheckpointFile.Read(await artifacts.GetFileAsync(checkpoint.Artifact, cancellationToken));
        }
        catch (InvalidDataException e)
        {
            throw new ProblemException(Problem.Create(ProblemCodes.CheckpointNotFound, $"The checkpoint `{checkpoint.Id}` cannot be read: {e.Message}", ("checkpoint", checkpoint.Id)), e);
        }
    }

    private async Task<ModelVersion> RegisterAsync(JobRecord job, TrainingCheckpoint checkpoint, CheckpointFile file, string folder, string? model, string? alias, CancellationToken cancellationToken)
    {
        var input = TrainingDocument.Read(System.Text.Json.JsonElement.Parse(job.Input));
        var lineage = new Dictionary<string, string>(file.Lineage, StringComparer.Ordinal) { ["queuemaas.checkpoint"] = checkpoint.Id };
        var weights = file.Snapshot.ExportWeights();
        var path = Path.Combine(folder, "model.onnx");
        var proto = OnnxExporter.Export(file.Network, file.Input, weights, lineage);
        OnnxFile.Validate(proto);
        OnnxExporter.Save(proto, path);
        var (probe, expected) = (file.Snapshot.Tensors[TrainingSnapshot.ProbeInput], file.Snapshot.Tensors[TrainingSnapshot.ProbeOutput]);
        ExportParityCheck.Run(path, file.Input, probe.Values, expected.Values, (int)probe.Shape[0]);
        var weightsPath = Path.Combine(folder, "weights.safetensors");
        SafetensorsFile.Write(weightsPath, weights, lineage);
        var inspection = inspector.Inspect(path, madeHere: true);
        return await models.RegisterAsync(job.Tenant, new NewModelVersion
        {
            Name = model ?? input.Model,
            Artifact = await StoreAsync(path, cancellationToken),
            Signature = inspection.Signature,
            Pipeline = file.Pipeline,
            Batching = new BatchingSettings(),
            Card = new ModelCard
            {
                Batch = inspection.Batch,
                Description = $"Checkpoint {checkpoint.Id} of training {job.Id}",
                Dataset = file.Dataset,
                Parameters = System.Text.Json.JsonElement.Parse(job.Input),
                Weights = (await StoreAsync(weightsPath, cancellationToken)).Id,
            },
            TrainedBy = $"{job.Id}/{checkpoint.Id}",
            JobAcceptedAt = job.CreatedAt,
            Metrics = checkpoint.Metrics is { } metrics ? new Dictionary<string, double> { ["validationAccuracy"] = metrics.ValidationAccuracy, ["validationLoss"] = metrics.ValidationLoss } : null,
            Alias = alias,
        }, cancellationToken);
    }

    private async Task<Artifact> StoreAsync(string path, CancellationToken cancellationToken)
    {
        await using var content = File.OpenRead(path);
        return await artifacts.PutAsync(content, long.MaxValue, cancellationToken);
    }
}
