using System.Diagnostics;
using System.Threading.Channels;
using QueueMaaS.Contracts;
using QueueMaaS.Data.Archives;
using QueueMaaS.Data.Loading;
using QueueMaaS.Onnx;
using QueueMaaS.Training.Checkpoints;
using QueueMaaS.Training.Evaluation;
using QueueMaaS.Training.Export;
using QueueMaaS.Training.Preparation;
using QueueMaaS.Training.Specification;

namespace QueueMaaS.Training.Running;

/// <summary>What to train on, and where to put the result.</summary>
public sealed record TrainingRequest
{
    /// <summary>How to train.</summary>
    public required TrainingSettings Settings { get; init; }
    /// <summary>The data set's archive.</summary>
    public required string DatasetZipPath { get; init; }
    /// <summary>What the archive may cost to unpack. Default: the documented defaults.</summary>
    public DatasetLimits DatasetLimits { get; init; } = new();
    /// <summary>A folder for the ONNX file; made where it is missing. The caller removes it.</summary>
    public required string WorkFolder { get; init; }
    /// <summary>What the model's metadata says it comes from: by default the data set's reference from the settings.</summary>
    public string? Lineage { get; init; }
    /// <summary>The model to begin with, where the settings name one.</summary>
    public StartingWeights? StartFrom { get; init; }
    /// <summary>Gives the state of an interrupted training of this job to go on from, or null.</summary>
    public Func<TrainingSnapshot?>? Resume { get; init; }
    /// <summary>Told of the data once it is made ready, on the training's thread.</summary>
    public Action<PreparedData>? Prepared { get; init; }
    /// <summary>Stores a state; called on the training's thread.</summary>
    public Action<TrainingSnapshot, TrainingPlan, PreparedData>? Checkpoint { get; init; }
    /// <summary>Where decoded images are kept, if they are.</summary>
    public DecodedImageCache? ImageCache { get; init; }
    /// <summary>Names the data set's content for <see cref="ImageCache"/>.</summary>
    public string? DataKey { get; init; }
    /// <summary>Called between two steps: waits while the machine is needed elsewhere.</summary>
    public Action<CancellationToken>? StandBack { get; init; }
    /// <summary>True for a trial of a sweep: its figures and its checkpoint are all that is wanted, so nothing is exported.</summary>
    public bool OnlyTrain { get; init; }
    /// <summary>What else the model's file says of where it comes from, by name.</summary>
    public IReadOnlyDictionary<string, string>? Origin { get; init; }
}

/// <summary>What came of a training.</summary>
public sealed record TrainingArtifacts
{
    /// <summary>The exported and checked model; null where nothing was exported.</summary>
    public ExportedFiles? Exported { get; init; }
    /// <summary>The network, with nothing left open.</summary>
    public required ModelSpecification Network { get; init; }
    /// <summary>What the trainer read, and what serving has to do.</summary>
    public required PreparedData Data { get; init; }
    /// <summary>Class names in the order of the outputs; empty without classes.</summary>
    public required IReadOnlyList<string> Labels { get; init; }
    /// <summary>Every epoch.</summary>
    public required IReadOnlyList<EpochMetrics> History { get; init; }
    /// <summary>The epoch whose weights were exported.</summary>
    public required int Epoch { get; init; }
    /// <summary>Why the training ended before its last epoch, where it did.</summary>
    public string? StoppedBy { get; init; }
    /// <summary>How the exported weights do on the validation items.</summary>
    public required EvaluationResult Final { get; init; }
    /// <summary>Numbers that were learned.</summary>
    public required long Parameters { get; init; }
    /// <summary>Weights taken over from another model.</summary>
    public TransferReport? StartedFrom { get; init; }
    /// <summary><c>cpu</c> or <c>cuda</c>.</summary>
    public required string Device { get; init; }
    /// <summary>Seconds from the call to the checked model.</summary>
    public required double Seconds { get; init; }
}

/// <summary>An exported model.</summary>
/// <param name="OnnxPath">The model, in the work folder.</param>
/// <param name="WeightsPath">The weights as a safetensors file, in the work folder.</param>
/// <param name="Parity">How far the exported model is from the trained one.</param>
public sealed record ExportedFiles(string OnnxPath, string WeightsPath, ExportParity Parity);

/// <summary>A training from the archive to the checked ONNX file.</summary>
public sealed class TrainingRun(TimeProvider? time = null)
{
    /// <summary>
    /// Loads, trains, exports and checks, on a thread of its own. <paramref name="report"/> is awaited away from that thread, one report at a time, the newest first:
    /// a slow receiver skips reports but never slows the training, and what it throws stops the training and is thrown here.
    /// </summary>
    /// <exception cref="ProblemException">Whatever is wrong with the archive, the data, the settings or the machine, with its own code.</exception>
    public async Task<TrainingArtifacts> ExecuteAsync(TrainingRequest request, Func<TrainingProgress, CancellationToken, ValueTask> report, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(request);
        ArgumentNullException.ThrowIfNull(report);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var reports = Channel.CreateBounded<TrainingProgress>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropOldest, SingleReader = true });
        var working = Task.Factory.StartNew(
            () =>
            {
                try
                {
                    return Execute(request, progress => reports.Writer.TryWrite(progress), stop.Token);
                }
                finally
                {
                    reports.Writer.Complete();
                }
            },
            CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);

        try
        {
            await foreach (var progress in reports.Reader.ReadAllAsync(CancellationToken.None))
                await report(progress, stop.Token);
        }
        catch
        {
            await stop.CancelAsync();
            // The training ends within one step; its own end is of no interest beside the receiver's error.
            await working.ContinueWith(static _ => { }, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
            _ = working.Exception;
            throw;
        }

        return await working;
    }

    private TrainingArtifacts Execute(TrainingRequest request, Action<TrainingProgress> report, CancellationToken cancellationToken)
    {
        var clock = Stopwatch.StartNew();
        var settings = request.Settings;
        report(Phase("loading", settings, 0, []));
        Directory.CreateDirectory(request.WorkFolder);
        var data = DataPreparer.Prepare(request, cancellationToken);
        request.Prepared?.Invoke(data);
        var plan = StartingPoint.Apply(TrainingPlan.For(settings, data.Examples, data.DefaultPreset), request.StartFrom, out var transfer) with { Resume = request.Resume?.Invoke() };
        var trained = new Trainer(time).Train(
            plan, new() { Report = report, Checkpoint = request.Checkpoint is { } store ? snapshot => store(snapshot, plan, data) : null, StandBack = request.StandBack }, cancellationToken);
        using var model = trained.Model;

        var exported = request.OnlyTrain ? null : Export(request, plan, data, trained, report, cancellationToken);
        return new()
        {
            Exported = exported,
            Network = plan.Network,
            Data = data,
            Labels = data.Pipeline.Labels ?? [],
            History = trained.History,
            Epoch = trained.Epoch,
            StoppedBy = trained.StoppedBy,
            Final = trained.Final,
            Parameters = model.ParameterCount,
            StartedFrom = transfer,
            Device = trained.Device,
            Seconds = clock.Elapsed.TotalSeconds,
        };
    }

    private static ExportedFiles Export(TrainingRequest request, TrainingPlan plan, PreparedData data, TrainedModel trained, Action<TrainingProgress> report, CancellationToken cancellationToken)
    {
        var (settings, model) = (request.Settings, trained.Model);
        report(Phase("exporting", settings, trained.History.Count, trained.History));
        var path = Path.Combine(request.WorkFolder, "model.onnx");
        var lineage = ModelLineage.Of(request, plan, trained.Final);
        var weights = WeightValues.Of(model);
        var proto = OnnxExporter.Export(plan.Network, model.Input, weights, lineage);
        OnnxFile.Validate(proto);
        OnnxExporter.Save(proto, path);
        var weightsPath = Path.Combine(request.WorkFolder, "weights.safetensors");
        SafetensorsFile.Write(weightsPath, weights, lineage);

        report(Phase("checking", settings, trained.History.Count, trained.History));
        return new(path, weightsPath, ExportParityCheck.Run(model, path, data.Examples.Inputs, data.Examples.Split.Validation, cancellationToken));
    }

    private static TrainingProgress Phase(string phase, TrainingSettings settings, int epoch, IReadOnlyList<EpochMetrics> history) => new()
    {
        Phase = phase,
        Epoch = epoch,
        Epochs = settings.Epochs,
        Step = 0,
        Steps = 0,
        History = history,
    };
}
