using QueueMaaS.Contracts;
using QueueMaaS.Inference.Batching;
using QueueMaaS.Inference.Models;
using QueueMaaS.Jobs.Estimation;

namespace QueueMaaS.Inference.Sessions;

/// <summary>A model version in memory with its batcher.</summary>
internal sealed class LoadedModel : IAsyncDisposable
{
    private const long SmallModelBytes = 16 << 20;
    private const int MostInstances = 4;

    private readonly IOnnxModel _model;
    private readonly string? _artifact;
    private readonly int _instances;

    private LoadedModel(IOnnxModel model, DynamicBatcher batcher, string? artifact, int instances)
    {
        _model = model;
        _artifact = artifact;
        _instances = instances;
        Batcher = batcher;
    }

    private static readonly TimeSpan LongestWarmUp = TimeSpan.FromSeconds(10);

    public DynamicBatcher Batcher { get; }

    public ModelSignature Signature => _model.Signature;

    /// <summary>How busy it is; null where that cannot be said yet.</summary>
    public ModelLoad? Load(DateTimeOffset now) =>
        _artifact is not null && Batcher.State is { Cost: var (perRow, perBatch) } state ? new(_artifact, perRow, perBatch, state.BatchSize, _instances, state.Rows, now) : null;

    public static LoadedModel Load(ServedModel served, InferenceOptions options, ModelLoader loader, TimeProvider time, InferenceMetrics metrics)
    {
        var batching = served.Batching;
        var instances = batching.Instances ?? (options.Instances > 0 ? options.Instances : ChooseInstances(served, options));
        var threads = batching.IntraOpThreads ?? (options.IntraOpThreads > 0 ? options.IntraOpThreads : Math.Max(1, Environment.ProcessorCount / instances));
        var model = loader.Load(served.Path, threads, options, served.IsIsolated(options), how => metrics.ProcessEnded(served.Name, served.Version));
        try
        {
            var single = served.IsSingle || !model.HasBatchAxis;
            var sessions = Enumerable.Range(0, instances).Select(_ => model.NewInstance()).ToArray();
            if (options.WarmUp)
            {
                // Made-up rows may send a loop astray that ends with real ones; that is not held against the model.
                model.Limit(options.RunTimeout < LongestWarmUp ? options.RunTimeout : LongestWarmUp);
                Warm(sessions, model.Signature, single ? 1 : batching.MaxBatchSize);
                model.Limit(options.RunTimeout);
            }

            return new(model, new DynamicBatcher(Settings(served, options, single), sessions, time, metrics), served.Artifact, instances);
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }

    private static int ChooseInstances(ServedModel served, InferenceOptions options) =>
        options.Provider == "cpu" && new FileInfo(served.Path).Length <= SmallModelBytes ? Math.Clamp(Environment.ProcessorCount, 1, MostInstances) : 1;

    private static BatcherSettings Settings(ServedModel served, InferenceOptions options, bool single)
    {
        var batching = served.Batching;
        return new()
        {
            Model = served.Name,
            Version = served.Version,
            MaxBatchSize = single ? 1 : batching.MaxBatchSize,
            PreferredBatchSizes = batching.PreferredBatchSizes ?? [],
            MaxQueueDelay = TimeSpan.FromMilliseconds(batching.MaxQueueDelayMs),
            MaxQueueRows = batching.MaxQueueRows ?? options.MaxQueueRows,
            MaxQueueBytes = options.MaxQueueBytes,
            MaxAnswerBytes = options.MaxAnswerBytes,
            RejectWhenFull = options.RejectWhenFull,
            Single = single,
            DefaultTimeout = batching.DefaultTimeoutMs is { } timeout ? TimeSpan.FromMilliseconds(timeout) : null,
            RunLate = batching.TimeoutAction == TimeoutAction.RunLate,
            PreserveOrdering = batching.PreserveOrdering,
            LatencyTarget = batching.LatencyTargetMs is { } target ? TimeSpan.FromMilliseconds(target) : null,
            RejectNonFinite = batching.RejectNonFinite,
        };
    }

    /// <summary>Brings the memory of every instance to the size of the largest batch. A model that made-up rows do not suit is left cold.</summary>
    private static void Warm(IModelInstance[] sessions, ModelSignature signature, int maxBatchSize)
    {
        var free = signature.Inputs.Any(i => i.Shape.Skip(1).Any(s => s < 0));
        var row = MadeUpRows.Make(signature, MadeUpRows.FreeSizes[0], 1)[0];
        // With free axes the largest batch of the largest shape is not known, and a guess would only hold memory.
        BatchMember[] largest = [.. Enumerable.Repeat(row, free ? 1 : maxBatchSize)];
        try
        {
            foreach (var session in sessions)
            {
                session.Run([row], CancellationToken.None);
                session.Run(largest, CancellationToken.None);
            }
        }
        catch (Exception e) when (e is ProblemException or BatchRunException or Microsoft.ML.OnnxRuntime.OnnxRuntimeException)
        {
            return;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await Batcher.DisposeAsync();
        _model.Dispose();
    }
}
