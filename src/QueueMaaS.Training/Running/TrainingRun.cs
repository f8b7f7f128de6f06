using System.Diagnostics;
using System.Threading.Channels;
using QueueMaaS.Contracts;
using QueueMaaS.Data.Archives;
using QueueMaaS.Data.Loading;
using QueueMaaS.Onnx;
using QueueMaaS.Training.Export;
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
}

/// <summary>What came of a training.</summary>
public sealed record TrainingArtifacts
{
    /// <summary>The exported and checked model, in the work folder.</summary>
    public required string OnnxPath { get; init; }
    /// <summary>Class names in the order of the outputs.</summary>
    public required IReadOnlyList<string> Labels { get; init; }
    /// <summary>How an image becomes the model's input.</summary>
    public required ImagePreparation Preparation { get; init; }
    /// <summary>Every epoch.</summary>
    public required IReadOnlyList<EpochMetrics> History { get; init; }
    /// <summary>Share of validation images classified right by the final model.</summary>
    public required double ValidationAccuracy { get; init; }
    /// <summary>Counts by true class (row) and predicted class (column).</summary>
    public required IReadOnlyList<IReadOnlyList<int>> ConfusionMatrix { get; init; }
    /// <summary>How far the exported model is from the trained one.</summary>
    public required ExportParity Parity { get; init; }
    /// <summary>Images that could not be read.</summary>
    public required CorruptItems Corrupt { get; init; }
    /// <summary>Images trained on.</summary>
    public required int TrainImages { get; init; }
    /// <summary>Images kept apart.</summary>
    public required int ValidationImages { get; init; }
    /// <summary>Numbers that were learned.</summary>
    public required long Parameters { get; init; }
    /// <summary><c>cpu</c> or <c>cuda</c>.</summary>
    public required string Device { get; init; }
    /// <summary>Seconds from the call to the checked model.</summary>
    public required double Seconds { get; init; }
}

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
        var data = Load(request, cancellationToken);
        // An image size that the model cannot take is better said before libtorch is loaded.
        ModelPresets.Create(settings.Preset, data.Classes.Count).InferShapes(TensorShape.Image(data.Channels, data.Height, data.Width));
        var trained = new ImageTrainer(time).Train(data, settings, report, cancellationToken: cancellationToken);
        using var model = trained.Model;

        report(Phase("exporting", settings, settings.Epochs, trained.History));
        Directory.CreateDirectory(request.WorkFolder);
        var path = Path.Combine(request.WorkFolder, "model.onnx");
        var proto = OnnxExporter.Export(model, Lineage(request, data, trained));
        OnnxFile.Validate(proto);
        OnnxExporter.Save(proto, path);

        report(Phase("checking", settings, settings.Epochs, trained.History));
        var parity = ExportParityCheck.Run(model, path, new Feeding.ImageInputs(data), trained.Split.Validation, cancellationToken);
        return new()
        {
            OnnxPath = path,
            Labels = data.Classes,
            // As the data set was decoded: serving must see what training saw.
            Preparation = new(data.Width, data.Height, data.Channels) { Alpha = AlphaMode.Ignore },
            History = trained.History,
            ValidationAccuracy = trained.Final.Accuracy,
            ConfusionMatrix = trained.Final.ConfusionMatrix,
            Parity = parity,
            Corrupt = data.Corrupt,
            TrainImages = trained.Split.Train.Length,
            ValidationImages = trained.Split.Validation.Length,
            Parameters = model.ParameterCount,
            Device = trained.Device,
            Seconds = clock.Elapsed.TotalSeconds,
        };
    }

    private static LabelledImages Load(TrainingRequest request, CancellationToken cancellationToken)
    {
        using var archive = DatasetArchive.Open(request.DatasetZipPath, request.DatasetLimits);
        var card = archive.Inspect();
        ModelPresets.Create(request.Settings.Preset, card.Classes.Count).InferShapes(TensorShape.Image(card.Channels, card.Height, card.Width));
        var options = new DatasetLoadOptions { Limit = request.Settings.Limit, MaxCorruptShare = request.Settings.MaxCorruptShare, Seed = request.Settings.Seed };
        return archive.Load(options, progress: null, cancellationToken);
    }

    private static Dictionary<string, string> Lineage(TrainingRequest request, LabelledImages data, TrainedModel trained) => new(StringComparer.Ordinal)
    {
        ["queuemaas.preset"] = request.Settings.Preset,
        ["queuemaas.dataset"] = request.Lineage ?? request.Settings.Dataset,
        ["queuemaas.labels"] = System.Text.Json.JsonSerializer.Serialize(data.Classes, QueueMaaSJson.Relaxed),
        ["queuemaas.seed"] = $"{request.Settings.Seed}",
        ["queuemaas.epochs"] = $"{request.Settings.Epochs}",
        ["queuemaas.validation_accuracy"] = trained.Final.Accuracy.ToString("R"),
    };

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
