using System.Text.Json;
using QueueMaaS.Contracts;

namespace QueueMaaS.Storage.Database;

/// <summary>One line of a job's history.</summary>
public sealed class JobEventRow
{
    public long RowId { get; set; }
    public required string JobId { get; set; }
    public required long Sequence { get; set; }
    public required string Type { get; set; }
    public required DateTimeOffset At { get; set; }
    public required int Attempt { get; set; }
    public string? By { get; set; }
    public string? Reason { get; set; }
    public string? Data { get; set; }

    /// <summary>Kept in the history, but not announced: a batch job's chunks are its own affair.</summary>
    public bool Silent { get; set; }

    public JobEvent ToEvent() => new()
    {
        JobId = JobId,
        Sequence = Sequence,
        Type = Type,
        At = At,
        Attempt = Attempt,
        By = By,
        Reason = Reason,
        Data = Data is null ? null : JsonElement.Parse(Data),
    };
}

public sealed class ModelVersionRow
{
    public required string Tenant { get; set; }
    public required string Name { get; set; }
    public required int Version { get; set; }
    public required string Artifact { get; set; }
    public required long Bytes { get; set; }
    public required string Signature { get; set; }
    public string? Pipeline { get; set; }
    public required string Batching { get; set; }
    public string? Card { get; set; }
    public string? TrainedBy { get; set; }

    /// <summary>When the job of <see cref="TrainedBy"/> was accepted; null of versions that a program before this column has registered.</summary>
    public DateTimeOffset? JobAcceptedAt { get; set; }
    public string? Metrics { get; set; }
    public required DateTimeOffset CreatedAt { get; set; }

    public ModelVersion ToVersion(IReadOnlyList<string> aliases) => new()
    {
        Name = Name,
        Version = Version,
        Artifact = Artifact,
        Bytes = Bytes,
        Signature = Json.Read<ModelSignature>(Signature)!,
        Pipeline = Json.Read<ModelPipeline>(Pipeline),
        Batching = Json.Read<BatchingSettings>(Batching)!,
        Card = Json.Read<ModelCard>(Card),
        Aliases = aliases,
        TrainedBy = TrainedBy,
        Metrics = Json.Read<Dictionary<string, double>>(Metrics),
        CreatedAt = CreatedAt,
    };
}

public sealed class ModelAliasRow
{
    public required string Tenant { get; set; }
    public required string Name { get; set; }
    public required string Alias { get; set; }
    public required int Version { get; set; }

    /// <summary>Its share of the traffic to the bare name.</summary>
    public double? Share { get; set; }
}

public sealed class DatasetRow
{
    public required string Tenant { get; set; }
    public required string Name { get; set; }
    public required int Version { get; set; }
    public required string Artifact { get; set; }
    public required long Bytes { get; set; }
    public required string Card { get; set; }
    public required DateTimeOffset CreatedAt { get; set; }

    public Dataset ToDataset() => new()
    {
        Name = Name,
        Version = Version,
        Artifact = Artifact,
        Bytes = Bytes,
        Card = Json.Read<DatasetCard>(Card)!,
        CreatedAt = CreatedAt,
    };
}

internal static class Json
{
    public static string Write<T>(T value) => JsonSerializer.Serialize(value, QueueMaaSJson.Relaxed);

    public static string? WriteOrNull<T>(T? value) where T : class => value is null ? null : Write(value);

    public static T? Read<T>(string? json) where T : class => json is null ? null : JsonSerializer.Deserialize<T>(json, QueueMaaSJson.Relaxed);
}
