using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using QueueMaaS.Contracts;
using QueueMaaS.Inference.Batching;

namespace QueueMaaS.OpenInference.Http;

/// <summary>The protocol's own dialect: snake_case names.</summary>
internal static class ProtocolJson
{
    public static JsonSerializerOptions Options { get; } = Create();

    private static JsonSerializerOptions Create()
    {
        var options = new JsonSerializerOptions { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull, Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
        options.MakeReadOnly(populateMissingResolver: true);
        return options;
    }
}

internal sealed record ServerMetadata(string Name, string Version, IReadOnlyList<string> Extensions);

internal sealed record ModelReady(string Name, string Version, bool Ready);

internal sealed record ModelIndex(string Name, string Version, string State, string Reason);

internal sealed record ModelMetadata(string Name, IReadOnlyList<string> Versions, string Platform, IReadOnlyList<TensorSignature> Inputs, IReadOnlyList<TensorSignature> Outputs);

internal sealed record ModelConfig(string Name, string Platform, string Backend, int MaxBatchSize, IReadOnlyList<TensorConfig> Input, IReadOnlyList<TensorConfig> Output);

internal sealed record TensorConfig(string Name, string DataType, IReadOnlyList<long> Dims)
{
    public static TensorConfig Of(TensorSignature tensor, bool batched) =>
        new(tensor.Name, tensor.Datatype == Datatypes.Bytes ? "TYPE_STRING" : $"TYPE_{tensor.Datatype}", batched ? [.. tensor.Shape.Skip(1)] : tensor.Shape);
}

internal sealed record StatisticsList(IReadOnlyList<VersionStatistics> ModelStats);

/// <summary>
/// As Triton's statistics extension: times in nanoseconds. Durations of requests count each request, and a batch's computation for each that had a part in it; <c>inference_count</c> counts the rows of the requests
/// that were computed, <c>execution_count</c> and the batches by size count computations. The times of preparing tensors are not taken apart and stand as 0.
/// </summary>
internal sealed record VersionStatistics(string Name, string Version, long LastInference, long InferenceCount, long ExecutionCount, RequestStatistics InferenceStats, IReadOnlyList<SizeStatistics> BatchStats)
{
    public static VersionStatistics Of(ModelStatistics one) => new(
        one.Model, one.Version.ToString(CultureInfo.InvariantCulture), one.Last?.ToUnixTimeMilliseconds() ?? 0, one.Rows, one.Batches,
        new(
            Success: Duration.Of(one.Succeeded), Fail: Duration.Of(one.Failed), Queue: Duration.Of(one.Queued),
            ComputeInput: Duration.Untimed(one.Computed), ComputeInfer: Duration.Of(one.Computed), ComputeOutput: Duration.Untimed(one.Computed),
            CacheHit: Duration.Of(one.Reused), CacheMiss: Duration.Of(one.NotReused)),
        [.. one.BySize.Select(static size => new SizeStatistics(size.Rows, Duration.Untimed(size.Computed), Duration.Of(size.Computed), Duration.Untimed(size.Computed)))]);
}

internal sealed record RequestStatistics(Duration Success, Duration Fail, Duration Queue, Duration ComputeInput, Duration ComputeInfer, Duration ComputeOutput, Duration CacheHit, Duration CacheMiss);

internal sealed record SizeStatistics(int BatchSize, Duration ComputeInput, Duration ComputeInfer, Duration ComputeOutput);

internal sealed record Duration(long Count, long Ns)
{
    public static Duration Of(TimedCount count) => new(count.Count, count.Time.Ticks * TimeSpan.NanosecondsPerTick);

    /// <summary>As often, in no time.</summary>
    public static Duration Untimed(TimedCount count) => new(count.Count, 0);
}
