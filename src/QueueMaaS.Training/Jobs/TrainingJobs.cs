using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;
using QueueMaaS.Contracts;
using QueueMaaS.Data.Loading;
using QueueMaaS.Jobs.Catalog;
using QueueMaaS.Jobs.Deployment;
using QueueMaaS.Jobs.Execution;
using QueueMaaS.Jobs.Life;
using QueueMaaS.Jobs.Submission;
using QueueMaaS.Training.Auto;
using QueueMaaS.Training.Checkpoints;
using QueueMaaS.Training.Preparation;
using QueueMaaS.Training.Recipes;
using QueueMaaS.Training.Running;
using QueueMaaS.Training.Runtime;
using QueueMaaS.Training.Sweeps;

namespace QueueMaaS.Training.Jobs;

/// <summary>Refuses training jobs that cannot succeed. Loads no libtorch, so the API can ask.</summary>
public sealed class TrainingSubmissionCheck(IDatasetCatalog datasets, IModelCatalog models, GateCheck gates) : ISubmissionCheck
{
    public JobKind Kind => JobKind.Training;

    public async Task<CheckedInput> CheckAsync(string tenant, JsonElement input, CancellationToken cancellationToken)
    {
        var training = TrainingDocument.Read(input);
        if (training.Trial is not null)
            throw new ProblemException(ProblemCodes.InvalidValue, "`trial` is written by the service where a training belongs to a sweep. Leave it out; to vary a training, submit a job of the kind `sweep`.", ("path", "input.trial"));
        await CheckAsync(tenant, training, cancellationToken);
        return new(training.Model);
    }

    /// <summary>Holds a training against its data set and the models.</summary>
    /// <param name="tenant">Whose it is.</param>
    /// <param name="training">The training.</param>
    /// <param name="cancellationToken">Stops the check.</param>
    /// <param name="chosenLater">True: a network that the training does not name is chosen when it runs.</param>
    /// <returns>The data set, for further checks of it.</returns>
    internal async Task<(TrainingSettings Settings, Dataset Dataset)> CheckAsync(string tenant, TrainingInput training, CancellationToken cancellationToken, bool chosenLater = false)
    {
        if (!Identifiers.IsName(training.Model))
            throw new ProblemException(ProblemCodes.InvalidValue, "`model` must be 1 to 64 of lower-case letters, digits and - _ . , beginning with a letter or digit.", ("path", "input.model"));
        if (training.Deploy is not null && !Identifiers.IsAlias(training.Deploy))
            throw new ProblemException(ProblemCodes.InvalidValue, $"`deploy` must be an alias such as `production`: {Identifiers.AliasRule}.", ("path", "input.deploy"));
        var settings = TrainingSettings.From(training);
        var dataset = await datasets.RequireAsync(tenant, training.Dataset, cancellationToken);
        CardFit.Require(dataset.Card, settings, chosenLater);
        if (settings.StartFrom is { } start)
            _ = await StartingModels.RequireAsync(models, tenant, start.Model, cancellationToken);
        if (training.Monitor is { } monitor)
            DriftSettingsCheck.Check(monitor, "monitor");
        if (training.Gate is { } gate)
        {
            if (training.Deploy is null)
                throw new ProblemException(ProblemCodes.GateInvalid, "There is a `gate`, but no `deploy`: say which alias is to point at the new version if the gate holds.", ("path", "input.deploy"));
            await gates.CheckAsync(tenant, gate, SubjectOf(settings, dataset), cancellationToken);
        }

        return (settings, dataset);
    }

    /// <summary>What the version will be, as far as it can be told before it is trained.</summary>
    private static GateSubject SubjectOf(TrainingSettings settings, Dataset dataset)
    {
        var byClasses = dataset.Card.Classes.Count > 0 && settings.Data is null or { Target: null, Targets: null };
        return (settings.Task ?? (byClasses ? TrainingTask.Classification : null)) switch
        {
            TrainingTask.Classification => new(EvaluationTask.Classification, byClasses ? [.. dataset.Card.Classes.Select(static c => c.Name)] : null, ["validationAccuracy", "validationBalancedAccuracy", "validationMacroF1", "validationLoss"]),
            TrainingTask.Regression => new(EvaluationTask.Regression, null, ["validationLoss", "validationError", "validationR2"]),
            TrainingTask.Autoencoding => new(null, null, ["validationLoss", "validationError"]),
            TrainingTask.MultiLabel => new(EvaluationTask.MultiLabel, null, ["validationAccuracy", "validationLoss"]),
            _ => new(null, null, GateMetrics.ValidationNames),
        };
    }
}

/// <summary>Runs one training job: data set → trained model → checked ONNX file → registered version. A job that was interrupted goes on from its latest checkpoint.</summary>
internal sealed class TrainingJobExecutor(
    IDatasetCatalog datasets, IModelCatalog models, IArtifactStore artifacts, IModelInspector inspector, JobCheckpoints checkpoints,
    IJobStore jobs, JobSubmitter submitter, IInferenceDemand demand, IOptions<TrainingOptions> options, TimeProvider time) : IJobExecutor
{
    public JobKind Kind => JobKind.Training;

    public async Task<object> ExecuteAsync(JobAttempt attempt, CancellationToken cancellationToken)
    {
        var job = attempt.Job;
        var input = TrainingDocument.Read(JsonElement.Parse(job.Input));
        // An attempt before ran out of memory: with batches half as large it begins anew, since its states count in batches of the old size.
        if (attempt.BatchDivisor > 1)
            input = input with { BatchSize = Math.Max(1, TrainingSettings.From(input).BatchSize / attempt.BatchDivisor) };
        if (input.Trial is { } trial)
            await RequireSweepAsync(job, trial, cancellationToken);
        if (input.Gate is not null)
            await submitter.RequireChildIdAsync(job, GateIdOf(job), cancellationToken);
        if (input.Monitor is not null)
            await submitter.RequireChildIdAsync(job, BaselineIdOf(job), cancellationToken);
        var settings = TrainingSettings.From(input);
        var resume = attempt.BatchDivisor > 1 ? null : await checkpoints.FindLatestAsync(job.Id, cancellationToken);
        // Between two epochs a state does not count in batches, so a trial goes on from its earlier rung whatever their size.
        if (resume is null && input.Trial?.From is { } from)
            resume = await checkpoints.FindLatestAsync(from, cancellationToken) ?? throw new ProblemException(ProblemCodes.CheckpointNotFound, $"The trial was to go on from the latest checkpoint of job `{from}`, which cannot be read, or was removed when the sweep ended. Requeue that job first, or submit the sweep again.", ("jobId", from));
        // A training that goes on keeps to the version that it began with.
        var dataset = await datasets.RequireAsync(job.Tenant, resume?.Dataset ?? input.Dataset, cancellationToken);
        var reference = $"{dataset.Name}@{dataset.Version}";
        var started = time.GetTimestamp();
        var folder = Directory.CreateTempSubdirectory("queuemaas-training-").FullName;
        try
        {
            var request = new TrainingRequest
            {
                Settings = settings,
                DatasetZipPath = await DataFileAsync(dataset, cancellationToken),
                WorkFolder = folder,
                Lineage = reference,
                StartFrom = settings.StartFrom is { } start
                    ? await StartingModels.ReadAsync(await StartingModels.RequireAsync(models, job.Tenant, start.Model, cancellationToken), artifacts, cancellationToken)
                    : null,
                Resume = () => resume?.Snapshot,
                StandBack = options.Value.ShareWhileInferring < 1 ? new InferenceFirst(demand, options.Value.ShareWhileInferring, time).StandBack : null,
                ImageCache = Cache(),
                DataKey = dataset.Artifact,
                OnlyTrain = input.Trial is { Register: false },
                Origin = input.Trial is { } of ? new Dictionary<string, string> { ["queuemaas.sweep"] = of.Sweep, ["queuemaas.trial"] = $"{of.Number}" } : null,
            };
            if (input.Trial?.ProbeMinutes is { } minutes)
            {
                var document = System.Text.Json.Nodes.JsonObject.Create(JsonElement.Parse(job.Input))!;
                document.Remove("trial");
                return await Task.Factory.StartNew(() => AutoProbe.Run(request, document, minutes, cancellationToken), cancellationToken, TaskCreationOptions.LongRunning, TaskScheduler.Default);
            }

            request = request with { Checkpoint = (snapshot, plan, data) => Store(attempt, request, reference, snapshot, plan, WithVocabulary(data)) };
            var log = new TrainingLog(attempt, settings.Epochs, resume?.Snapshot.State.History.Count ?? 0);
            request = request with { Prepared = log.Prepared };
            await log.BeginAsync(reference, resume?.Snapshot.Id, settings.BatchSize, cancellationToken);
            var trained = await new TrainingRun(time).ExecuteAsync(
                request,
                async (progress, token) =>
                {
                    await attempt.ReportAsync(progress, token);
                    await log.TellAsync(progress.History, token);
                },
                cancellationToken);
            await log.EndAsync(trained, cancellationToken);
            var seconds = time.GetElapsedTime(started).TotalSeconds;
            if (trained.Exported is not { } exported)
                return ToOutput(input.Trial!, reference, trained, seconds);
            trained = trained with { Data = WithVocabulary(trained.Data) };
            var (version, refused) = await RegisterAndDeployAsync(attempt, input, reference, trained, exported, cancellationToken);
            await HandToMonitorAsync(job, input, version, reference, cancellationToken);
            return ToOutput(version, input.Gate is null && refused is null ? input.Deploy : null, dataset, trained, exported, seconds) with { DeployRefused = refused, Promotion = await HandToGateAsync(job, input, version, cancellationToken) };
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    /// <summary>A trial that was handed out while its sweep was ended by request has nobody to train for.</summary>
    private async Task RequireSweepAsync(JobRecord job, TrialSettings trial, CancellationToken cancellationToken)
    {
        if (job.ParentId is { } parent && await jobs.FindAsync(job.Tenant, parent, cancellationToken) is not { State: not (JobState.Cancelled or JobState.Succeeded) })
            throw new ProblemException(ProblemCodes.DependencyFailed, $"The sweep `{trial.Sweep}` that this trial belongs to has ended.", ("jobId", trial.Sweep));
    }

    private DecodedImageCache? Cache() => options.Value.ImageCacheBytes == 0
        ? null
        : new(options.Value.ImageCacheFolder ?? Path.Combine(PatchedCopy.CacheFolder(), "images"), options.Value.ImageCacheBytes);

    /// <summary>Called on the training's own thread, which has nothing else to do meanwhile.</summary>
    private void Store(JobAttempt attempt, TrainingRequest request, string dataset, TrainingSnapshot snapshot, TrainingPlan plan, PreparedData data) =>
        checkpoints.StoreAsync(
            attempt, new(snapshot, attempt.Job.Id, dataset, plan.Network, plan.Data.Inputs.Shape, data.Pipeline, ModelLineage.Of(request, plan, null)), request.Settings.Checkpoints.Keep).GetAwaiter().GetResult();

    /// <summary>Stores the vocabulary that was made of the texts, and names it in the pipeline. The same file gives the same artifact, however often.</summary>
    private PreparedData WithVocabulary(PreparedData data)
    {
        if (data.VocabularyPath is not { } path || data.Pipeline.Text is not { Vocabulary: null } text)
            return data;
        var stored = StoreAsync(path, CancellationToken.None).GetAwaiter().GetResult();
        return data with { Pipeline = data.Pipeline with { Text = text with { Vocabulary = stored.Id } } };
    }

    private async Task<string> DataFileAsync(Dataset dataset, CancellationToken cancellationToken)
    {
        try
        {
            return await artifacts.GetFileAsync(dataset.Artifact, cancellationToken);
        }
        catch (ProblemException e) when (e.Problem.Code == ProblemCodes.ArtifactNotFound)
        {
            throw new ProblemException(
                Problem.Create(
                    ProblemCodes.DatasetNotFound,
                    $"The file of data set `{dataset.Name}@{dataset.Version}` was removed after the job was accepted. Upload the same data again (it becomes the same file), then requeue the job: it goes on from its latest checkpoint.",
                    ("dataset", $"{dataset.Name}@{dataset.Version}"), ("artifact", dataset.Artifact)),
                e);
        }
    }

    /// <summary>What was trained is not lost for an alias that cannot move: the version is registered without it, and why is told.</summary>
    private async Task<(ModelVersion Version, Problem? Refused)> RegisterAndDeployAsync(JobAttempt attempt, TrainingInput input, string lineage, TrainingArtifacts trained, ExportedFiles exported, CancellationToken cancellationToken)
    {
        var version = await VersionAsync(attempt.Job, input, lineage, trained, exported, cancellationToken);
        try
        {
            return (await models.RegisterAsync(attempt.Job.Tenant, version, cancellationToken), null);
        }
        catch (ProblemException exception) when (exception.Problem.Code == ProblemCodes.CanaryConflict)
        {
            await attempt.LogAsync("warning", exception.Problem.Message, cancellationToken);
            return (await models.RegisterAsync(attempt.Job.Tenant, version with { Alias = null }, cancellationToken), exception.Problem);
        }
    }

    private async Task<NewModelVersion> VersionAsync(JobRecord job, TrainingInput input, string lineage, TrainingArtifacts trained, ExportedFiles exported, CancellationToken cancellationToken)
    {
        var inspection = inspector.Inspect(exported.OnnxPath, madeHere: true);
        var weights = await StoreAsync(exported.WeightsPath, cancellationToken);
        return new()
        {
            Name = input.Model,
            Artifact = await StoreAsync(exported.OnnxPath, cancellationToken),
            Signature = inspection.Signature,
            Pipeline = trained.Data.Pipeline,
            Batching = new BatchingSettings(),
            Card = new ModelCard
            {
                Batch = inspection.Batch,
                Description = input.Trial is { } trial ? $"Trial {trial.Number} of sweep {trial.Sweep}, the best one" : null,
                Dataset = lineage,
                Parameters = JsonSerializer.SerializeToElement(input, QueueMaaSJson.Relaxed),
                Weights = weights.Id,
            },
            TrainedBy = job.Id,
            JobAcceptedAt = job.CreatedAt,
            Metrics = Metrics(trained),
            Alias = input.Gate is null ? input.Deploy : null,
            Unaliased = input.Gate is not null,
            RegisteredBy = $"job {job.Id}",
        };
    }

    private static string GateIdOf(JobRecord training) => $"{training.Id}:gate";

    private static string BaselineIdOf(JobRecord training) => $"{training.Id}:baseline";

    /// <summary>The gate is judged where models are run, by a job of its own: the training has done its part, whatever comes of it.</summary>
    private async Task<string?> HandToGateAsync(JobRecord job, TrainingInput input, ModelVersion version, CancellationToken cancellationToken)
    {
        if (input.Gate is not { } gate)
            return null;
        var id = GateIdOf(job);
        var promotion = new PromotionInput { Model = $"{version.Name}@{version.Version}", Alias = input.Deploy!, Gate = gate };
        await submitter.SubmitChildrenAsync(job, [(id, JsonSerializer.Serialize(promotion, QueueMaaSJson.Relaxed))], cancellationToken, JobKind.Promotion);
        return id;
    }

    /// <summary>What the model takes and gives on its training data is summarised where models are run, too.</summary>
    private async Task HandToMonitorAsync(JobRecord job, TrainingInput input, ModelVersion version, string dataset, CancellationToken cancellationToken)
    {
        if (input.Monitor is not { } settings)
            return;
        var baseline = new BaselineInput { Model = $"{version.Name}@{version.Version}", Dataset = dataset, Settings = settings };
        await submitter.SubmitChildrenAsync(job, [(BaselineIdOf(job), JsonSerializer.Serialize(baseline, QueueMaaSJson.Relaxed))], cancellationToken, JobKind.Baseline);
    }

    private async Task<Artifact> StoreAsync(string path, CancellationToken cancellationToken)
    {
        await using var file = File.OpenRead(path);
        return await artifacts.PutAsync(file, long.MaxValue, cancellationToken);
    }

    private static TrialOutput ToOutput(TrialSettings trial, string dataset, TrainingArtifacts trained, double seconds)
    {
        var task = trained.Data.Examples.Targets.Task;
        return new()
        {
            Trial = trial,
            Dataset = dataset,
            Task = task,
            Metrics = Metrics(trained).Where(m => double.IsFinite(m.Value) && (HasClasses(task) || m.Key != "validationAccuracy")).ToDictionary(StringComparer.Ordinal),
            History = trained.History,
            Epoch = trained.Epoch,
            StoppedBy = trained.StoppedBy,
            Parameters = trained.Parameters,
            Device = trained.Device,
            Seconds = seconds,
        };
    }

    /// <summary>For tasks without classes the accuracy is no figure.</summary>
    private static bool HasClasses(TrainingTask task) => task is TrainingTask.Classification or TrainingTask.MultiLabel;

    private static Dictionary<string, double> Metrics(TrainingArtifacts trained)
    {
        var metrics = new Dictionary<string, double>(StringComparer.Ordinal) { ["validationAccuracy"] = trained.Final.Accuracy, ["validationLoss"] = trained.Final.Loss };
        if (trained.Final.BalancedAccuracy is { } balanced)
            metrics["validationBalancedAccuracy"] = balanced;
        if (trained.Final.MacroF1 is { } macro)
            metrics["validationMacroF1"] = macro;
        if (trained.Final.Error is { } error)
            metrics["validationError"] = error;
        if (trained.Final.R2 is { } r2)
            metrics["validationR2"] = r2;
        return metrics;
    }

    private static TrainingOutput ToOutput(ModelVersion version, string? deploy, Dataset dataset, TrainingArtifacts trained, ExportedFiles exported, double seconds) => new()
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
        ValidationAccuracy = HasClasses(trained.Data.Examples.Targets.Task) ? trained.Final.Accuracy : null,
        ConfusionMatrix = trained.Final.ConfusionMatrix,
        Parity = exported.Parity,
        Parameters = trained.Parameters,
        StartedFrom = trained.StartedFrom,
        Device = trained.Device,
        Seconds = seconds,
    };
}

public static class TrainingServices
{
    /// <summary>What every process that accepts jobs needs: the check, and checkpoints as resources. Loads no libtorch.</summary>
    public static IServiceCollection AddTrainingChecks(this IServiceCollection services) => services
        .AddSingleton<TrainingSubmissionCheck>()
        .AddSingleton<ISubmissionCheck>(provider => provider.GetRequiredService<TrainingSubmissionCheck>())
        .AddSingleton<ISubmissionCheck, SweepSubmissionCheck>()
        .AddSingleton<ISweepLeaderboards, SweepLeaderboards>()
        .AddSingleton<IRecipeBook>(RecipeBook.Default)
        .AddSingleton<JobCheckpoints>()
        .AddSingleton<ITrainingCheckpoints, TrainingCheckpoints>();

    /// <summary>The training worker's executor. libtorch is loaded when the first job runs.</summary>
    public static IServiceCollection AddTrainingExecutors(this IServiceCollection services)
    {
        services.TryAddSingleton<IInferenceDemand, NoInferenceDemand>();
        return services.AddSingleton<IJobExecutor, TrainingJobExecutor>().AddSingleton<IJobExecutor, SweepJobExecutor>();
    }
}
