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

/// <summary>As Triton's statistics extension: times in nanoseconds, counts of requests; the times of preparing tensors are not taken apart and stand as 0.</summary>
internal sealed record VersionStatistics(string Name, string Version, long LastInference, long InferenceCount, long ExecutionCount, RequestStatistics InferenceStats, IReadOnlyList<SizeStatistics> BatchStats)
{
    public static VersionStatistics Of(ModelStatistics one) => new(
        one.Model, one.Version.ToString(CultureInfo.InvariantCulture), one.Last?.ToUnixTimeMilliseconds() ?? 0, one.Rows, one.Batches,
        new(
            Success: new(Math.Max(0, one.Requests - one.Failed), Nanoseconds(one.Queued + one.Computed)), Fail: new(one.Failed, 0), Queue: new(one.Requests, Nanoseconds(one.Queued)),
            ComputeInput: new(one.Batches, 0), ComputeInfer: new(one.Batches, Nanoseconds(one.Computed)), ComputeOutput: new(one.Batches, 0), CacheHit: new(0, 0), CacheMiss: new(0, 0)),
        [.. one.BySize.Select(static size => new SizeStatistics(size.Rows, new(size.Count, 0), new(size.Count, Nanoseconds(size.Computed)), new(size.Count, 0)))]);

    private static long Nanoseconds(TimeSpan time) => time.Ticks * TimeSpan.NanosecondsPerTick;
}

internal sealed record RequestStatistics(Duration Success, Duration Fail, Duration Queue, Duration ComputeInput, Duration ComputeInfer, Duration ComputeOutput, Duration CacheHit, Duration CacheMiss);

internal sealed record SizeStatistics(int BatchSize, Duration ComputeInput, Duration ComputeInfer, Duration ComputeOutput);

internal sealed record Duration(long Count, long Ns);
