using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Catalog;
using QueueMaaS.Jobs.Execution;
using QueueMaaS.Jobs.Submission;
using QueueMaaS.Training.Running;

namespace QueueMaaS.Training.Jobs;

/// <summary>Refuses training jobs that cannot succeed. Loads no libtorch, so the API can ask.</summary>
public sealed class TrainingSubmissionCheck(IDatasetCatalog datasets) : ISubmissionCheck
{
    public JobKind Kind => JobKind.Training;

    public async Task<string?> CheckAsync(string tenant, JsonElement input, CancellationToken cancellationToken)
    {
        var training = SubmissionReader.ReadInput<TrainingInput>(input);
        if (!Identifiers.IsName(training.Model))
            throw new ProblemException(ProblemCodes.InvalidValue, "`model` must be 1 to 64 of lower-case letters, digits and - _ . , beginning with a letter or digit.", ("path", "input.model"));
        if (training.Deploy is not null && !Identifiers.IsName(training.Deploy))
            throw new ProblemException(ProblemCodes.InvalidValue, "`deploy` must be an alias such as `production`.", ("path", "input.deploy"));
        _ = TrainingSettings.From(training);
        await datasets.RequireAsync(tenant, training.Dataset, cancellationToken);
        return training.Model;
    }
}

/// <summary>Runs one training job: data set → trained model → checked ONNX file → registered version.</summary>
public sealed class TrainingJobExecutor(IDatasetCatalog datasets, IModelCatalog models, IArtifactStore artifacts, IModelInspector inspector, TimeProvider time) : IJobExecutor
{
    public JobKind Kind => JobKind.Training;

    public async Task<object> ExecuteAsync(JobAttempt attempt, CancellationToken cancellationToken)
    {
        var job = attempt.Job;
        var input = SubmissionReader.ReadInput<TrainingInput>(JsonElement.Parse(job.Input));
        var settings = TrainingSettings.From(input);
        var dataset = await datasets.RequireAsync(job.Tenant, input.Dataset, cancellationToken);
        var started = time.GetTimestamp();
        var folder = Directory.CreateTempSubdirectory("queuemaas-training-").FullName;
        try
        {
            var request = new TrainingRequest
            {
                Settings = settings,
                DatasetZipPath = await artifacts.GetFileAsync(dataset.Artifact, cancellationToken),
                WorkFolder = folder,
                Lineage = $"{dataset.Name}@{dataset.Version}",
            };
            var trained = await new TrainingRun(time).ExecuteAsync(request, async (progress, token) => await attempt.ReportAsync(progress, token), cancellationToken);
            var version = await RegisterAsync(job.Tenant, job.Id, input, $"{dataset.Name}@{dataset.Version}", trained, cancellationToken);
            return ToOutput(version, input.Deploy, dataset, trained, time.GetElapsedTime(started).TotalSeconds);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private async Task<ModelVersion> RegisterAsync(string tenant, string jobId, TrainingInput input, string lineage, TrainingArtifacts trained, CancellationToken cancellationToken)
    {
        var inspection = inspector.Inspect(trained.OnnxPath);
        var weights = await StoreAsync(trained.WeightsPath, cancellationToken);
        return await models.RegisterAsync(tenant, new NewModelVersion
        {
            Name = input.Model,
            Artifact = await StoreAsync(trained.OnnxPath, cancellationToken),
            Signature = inspection.Signature,
            Pipeline = trained.Data.Pipeline,
            Batching = new BatchingSettings(),
            Card = new ModelCard { Batch = inspection.Batch, Dataset = lineage, Parameters = JsonSerializer.SerializeToElement(input, QueueMaaSJson.Relaxed), Weights = weights.Id },
            TrainedBy = jobId,
            Metrics = Metrics(trained),
            Alias = input.Deploy,
        }, cancellationToken);
    }

    private async Task<Artifact> StoreAsync(string path, CancellationToken cancellationToken)
    {
        await using var file = File.OpenRead(path);
        return await artifacts.PutAsync(file, long.MaxValue, cancellationToken);
    }

    private static Dictionary<string, double> Metrics(TrainingArtifacts trained)
    {
        var metrics = new Dictionary<string, double>(StringComparer.Ordinal) { ["validationAccuracy"] = trained.Final.Accuracy, ["validationLoss"] = trained.Final.Loss };
        if (trained.Final.Error is { } error)
            metrics["validationError"] = error;
        if (trained.Final.R2 is { } r2)
            metrics["validationR2"] = r2;
        return metrics;
    }

    private static TrainingOutput ToOutput(ModelVersion version, string? deploy, Dataset dataset, TrainingArtifacts trained, double seconds) => new()
    {
        Model = version.Name,
        Version = version.Version,
        Alias = deploy ?? (version.Aliases is [var alias, ..] ? alias : null),
        OnnxArtifact = version.Artifact,
        WeightsArtifact = version.Card?.Weights,
        Dataset = $"{dataset.Name}@{dataset.Version}",
        Task = trained.Data.Examples.Targets.Task,
        Labels = trained.Labels,
        TrainImages = trained.Data.Examples.Split.Train.Length,
        ValidationImages = trained.Data.Examples.Split.Validation.Length,
        Corrupt = trained.Data.Corrupt,
        Data = trained.Data.Report,
        History = trained.History,
        Epoch = trained.Epoch,
        StoppedBy = trained.StoppedBy,
        ValidationAccuracy = trained.Final.Accuracy,
        ConfusionMatrix = trained.Final.ConfusionMatrix,
        Parity = trained.Parity,
        Parameters = trained.Parameters,
        StartedFrom = trained.StartedFrom,
        Device = trained.Device,
        Seconds = seconds,
    };
}

public static class TrainingServices
{
    /// <summary>What every process that accepts jobs needs: the check. Loads no libtorch.</summary>
    public static IServiceCollection AddTrainingChecks(this IServiceCollection services) => services.AddSingleton<ISubmissionCheck, TrainingSubmissionCheck>();

    /// <summary>The training worker's executor. libtorch is loaded when the first job runs.</summary>
    public static IServiceCollection AddTrainingExecutors(this IServiceCollection services) => services.AddSingleton<IJobExecutor, TrainingJobExecutor>();
}
