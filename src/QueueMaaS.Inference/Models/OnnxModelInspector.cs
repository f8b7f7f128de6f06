using QueueMaaS.Contracts;
using QueueMaaS.Inference.Isolation;
using QueueMaaS.Inference.Preparation;
using QueueMaaS.Inference.Sessions;
using QueueMaaS.Jobs.Catalog;
using QueueMaaS.Onnx;

namespace QueueMaaS.Inference.Models;

/// <summary>Looks at an ONNX file before it becomes a model version: in a process of its own, since nobody knows yet what it does.</summary>
/// <param name="loader">Loads it.</param>
/// <param name="options">The limits of such a process. Default: the defaults.</param>
public sealed class OnnxModelInspector(ModelLoader? loader = null, InferenceOptions? options = null) : IModelInspector
{
    private static readonly TimeSpan LongestRun = TimeSpan.FromSeconds(10);

    private readonly ModelLoader _loader = loader ?? new();
    private readonly InferenceOptions _options = options ?? new();

    /// <summary>Checks the structure of the file at <paramref name="path"/>, loads it once on the CPU to see that every operator is there, reads its signature, and tries whether a row gets the same answer in every batch and padding.</summary>
    /// <inheritdoc/>
    public ModelInspection Inspect(string path, BatchingSettings? batching = null, bool madeHere = false)
    {
        var file = OnnxFile.Read(path);
        // What a package holds lies in a folder of its own; a file by itself stands among foreign ones.
        OnnxFile.Validate(file, ModelPackage.IsUnpacked(path) ? Path.GetDirectoryName(path) : null);
        using var model = Load(path, isolated: !madeHere && _options.Isolation != "none");
        if (batching is not null)
            BatchingCheck.Check(batching, model.Signature);
        var held = model is IsolatedModel before ? ProcessLimits.ResetPeak(before.ProcessId) : null;
        var batch = BatchInvariance.Check(model, RandomOperators.Find(file));
        if (!model.HasBatchAxis && model is IsolatedModel isolated)
            TryOnce(isolated);
        var growth = held is { } bytes && model is IsolatedModel { Trouble: null } after && ProcessLimits.Peak(after.ProcessId) is { } peak ? Math.Max(0, peak - bytes) : (long?)null;
        return new(IndexBounds.Add(model.Signature, file.Graph), batch, batching?.Ragged is { } ragged ? PaddingInvariance.Check(model, ragged) : null, madeHere ? null : Judge(file, model, batch, batching, growth));
    }

    private IOnnxModel Load(string path, bool isolated) => _loader.Load(
        path,
        Environment.ProcessorCount,
        new() { RunTimeout = LongestRun, ModelMemoryBytes = _options.ModelMemoryBytes, LoadTimeout = _options.LoadTimeout, MaxAnswerBytes = _options.MaxAnswerBytes },
        isolated);

    /// <summary>What takes no batches was not run yet.</summary>
    private static void TryOnce(IsolatedModel model)
    {
        using var instance = model.NewInstance();
        foreach (var size in MadeUpRows.SizesFor(model.Signature))
        {
            try
            {
                instance.Run(MadeUpRows.Make(model.Signature, size, 1), CancellationToken.None);
                return;
            }
            catch (ProblemException)
            {
                // This size does not suit the model, and another may; or it has trouble, which it remembers.
                if (model.Trouble is not null)
                    return;
            }
        }
    }

    private IsolationCheck Judge(ModelProto file, IOnnxModel model, BatchCheck batch, BatchingSettings? batching, long? growth)
    {
        var perRow = growth / (batch.Sizes?.Max() ?? 1);
        if (ValueDependence.Find(file) is { } found)
            return new(true, $"It runs in a process of its own: {found}.", perRow);
        if (model is IsolatedModel { Trouble: { } trouble })
            return new(true, $"It runs in a process of its own: made-up rows were too much for it. {trouble.Message}");
        var (rows, memory) = (batching?.MaxBatchSize ?? 1, ModelLoader.MemoryFor(_options));
        return perRow * rows > memory
            ? new(true, $"It runs in a process of its own: {rows} rows may take {perRow * rows / (1 << 20):N0} MiB, more than one model may have ({memory / (1 << 20):N0} MiB).", perRow)
            : new(false, "Its time and memory follow from the size of a request, so it runs in the worker.", perRow);
    }
}
