namespace QueueMaaS.Contracts;

/// <summary>A file that comes in parts (<c>/v1/uploads</c>).</summary>
public sealed record Upload
{
    /// <summary>Names it in the path.</summary>
    public required string Id { get; init; }
    /// <summary>The size of the whole file.</summary>
    public required long Bytes { get; init; }
    /// <summary>How much has arrived; the next part begins here.</summary>
    public required long Offset { get; init; }
    /// <summary>The whole file, <c>sha256:…</c>, once all has arrived.</summary>
    public string? Artifact { get; init; }
    /// <summary>What the sender said about it, as it came.</summary>
    public string? Metadata { get; init; }
    /// <summary>When it is forgotten, should nothing more arrive.</summary>
    public required DateTimeOffset ExpiresAt { get; init; }
}

/// <summary>A model version made of a file that is not in the request: <c>POST /v1/models/{name}/versions</c>. Exactly one of <see cref="Artifact"/>, <see cref="Url"/> and <see cref="Path"/> is given.</summary>
public sealed record ModelImport
{
    /// <summary>An uploaded file, <c>sha256:…</c>.</summary>
    public string? Artifact { get; init; }
    /// <summary>An http or https address to fetch it from. Private, loopback and link-local addresses are refused unless the service is configured to allow them.</summary>
    public string? Url { get; init; }
    /// <summary>A file below the service's import folder (<c>Api:ImportFolder</c>), with forward slashes.</summary>
    public string? Path { get; init; }
    /// <summary>The SHA-256 that the file must have, 64 hexadecimal digits. Default: whatever it has.</summary>
    public string? Sha256 { get; init; }
    /// <summary>How images, rows and texts become tensors, and outputs become answers.</summary>
    public ModelPipeline? Pipeline { get; init; }
    /// <summary>The batcher's settings.</summary>
    public BatchingSettings? Batching { get; init; }
    /// <summary>What there is to say about it.</summary>
    public UploadedCard? Card { get; init; }
    /// <summary>An alias to point at the new version.</summary>
    public string? Alias { get; init; }
}
