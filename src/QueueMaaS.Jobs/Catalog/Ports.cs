using QueueMaaS.Contracts;

namespace QueueMaaS.Jobs.Catalog;

/// <summary>Models with their versions and aliases.</summary>
public interface IModelCatalog
{
    /// <summary>The version that a reference means; null where there is none.</summary>
    Task<ModelVersion?> FindAsync(string tenant, VersionReference reference, CancellationToken cancellationToken);

    /// <summary>As <see cref="FindAsync"/>, for those who compute with the version and ask at every request: where aliases of the model have a share of its traffic, a reference without version and alias is drawn by those shares. May be answered from memory. An alias that another process has moved is followed within 200 ms, one that this process has moved at once; the version's own <see cref="ModelVersion.Aliases"/> may be older.</summary>
    ValueTask<ModelVersion?> ResolveAsync(string tenant, VersionReference reference, CancellationToken cancellationToken) => new(FindAsync(tenant, reference, cancellationToken));

    /// <summary>Stores the next version of a name. The first version becomes <c>production</c>. A repeat by the same training job (<see cref="NewModelVersion.TrainedBy"/> and <see cref="NewModelVersion.JobAcceptedAt"/>) gives the version it made before.</summary>
    /// <exception cref="ProblemException">As <see cref="TrafficShares.CheckAsync"/>: nothing is stored.</exception>
    Task<ModelVersion> RegisterAsync(string tenant, NewModelVersion version, CancellationToken cancellationToken);

    /// <summary>Points an alias at a version; false where there is no such version.</summary>
    /// <exception cref="ProblemException">As <see cref="TrafficShares.CheckAsync"/>.</exception>
    Task<bool> SetAliasAsync(string tenant, ModelAlias alias, CancellationToken cancellationToken);

    /// <summary>Takes an alias away; false where there is none.</summary>
    Task<bool> RemoveAliasAsync(string tenant, string name, string alias, CancellationToken cancellationToken);

    /// <summary>Somebody else has moved aliases of a model: whatever is remembered of where they point is asked anew. Where nothing is remembered, nothing happens.</summary>
    void Forget(string tenant, string name)
    {
    }

    /// <summary>The aliases of one model, by name.</summary>
    Task<IReadOnlyList<ModelAlias>> AliasesAsync(string tenant, string name, CancellationToken cancellationToken);

    /// <summary>The latest version of every model, by name, after a name.</summary>
    Task<IReadOnlyList<ModelVersion>> ListAsync(string tenant, string? afterName, int limit, CancellationToken cancellationToken);

    /// <summary>The versions of one model, newest first, before a version.</summary>
    Task<IReadOnlyList<ModelVersion>> VersionsAsync(string tenant, string name, int? beforeVersion, int limit, CancellationToken cancellationToken);
}

/// <summary>A model version before it has a number.</summary>
public sealed record NewModelVersion
{
    public required string Name { get; init; }
    public required Artifact Artifact { get; init; }
    public required ModelSignature Signature { get; init; }
    public ModelPipeline? Pipeline { get; init; }
    public required BatchingSettings Batching { get; init; }
    public ModelCard? Card { get; init; }
    public string? TrainedBy { get; init; }

    /// <summary>When the job of <see cref="TrainedBy"/> was accepted: once a job is deleted, its id may be another job's.</summary>
    public DateTimeOffset? JobAcceptedAt { get; init; }
    public IReadOnlyDictionary<string, double>? Metrics { get; init; }

    /// <summary>An alias to point at the new version in the same transaction.</summary>
    public string? Alias { get; init; }

    /// <summary>True: no alias moves by itself, not even for the first version of a name. Default false.</summary>
    public bool Unaliased { get; init; }

    /// <summary>Who registers it, where no route does: the registration and every alias that it moves stand in the audit trail under this name, written in the same transaction.</summary>
    public string? RegisteredBy { get; init; }
}

/// <summary>Data sets with their versions.</summary>
public interface IDatasetCatalog
{
    Task<Dataset?> FindAsync(string tenant, VersionReference reference, CancellationToken cancellationToken);

    /// <summary>Stores the next version of a name, or answers the latest one where it has the same content.</summary>
    Task<Dataset> RegisterAsync(string tenant, string name, Artifact artifact, DatasetCard card, CancellationToken cancellationToken);

    Task<IReadOnlyList<Dataset>> ListAsync(string tenant, string? afterName, int limit, CancellationToken cancellationToken);
}

/// <summary>Files under the hash of their content.</summary>
public interface IArtifactStore
{
    /// <summary>Stores what the stream gives, up to <paramref name="maxBytes"/>; refuses more with <c>too_large</c>.</summary>
    Task<Artifact> PutAsync(Stream content, long maxBytes, CancellationToken cancellationToken);

    /// <summary>A local, read-only file with the content; throws <c>artifact_not_found</c>.</summary>
    Task<string> GetFileAsync(string artifactId, CancellationToken cancellationToken);

    /// <summary>The content as a stream that can be positioned anywhere, for readers of parts: they do not need the whole of it on this machine. Throws <c>artifact_not_found</c>.</summary>
    async Task<Stream> OpenAsync(string artifactId, CancellationToken cancellationToken) =>
        new FileStream(await GetFileAsync(artifactId, cancellationToken), FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0, useAsync: true);

    /// <summary>Whether it is there, and its size, without its content; throws <c>artifact_not_found</c>.</summary>
    async Task<Artifact> DescribeAsync(string artifactId, CancellationToken cancellationToken) => new(artifactId, new FileInfo(await GetFileAsync(artifactId, cancellationToken)).Length);

    /// <summary>Removes a file that nothing refers to any more; nothing happens where there is none.</summary>
    Task DeleteAsync(string artifactId, CancellationToken cancellationToken);
}

/// <summary>What the artifact store tells and does so that files go that nobody needs.</summary>
public interface IArtifactUpkeep
{
    /// <summary>The artifacts that nobody has stored, read or named since that moment.</summary>
    IAsyncEnumerable<Artifact> ListIdleAsync(DateTimeOffset since, CancellationToken cancellationToken);

    /// <summary>Notes that an artifact is in use, so that it is not idle for a while.</summary>
    Task TouchAsync(string artifactId, CancellationToken cancellationToken);

    /// <summary>Deletes an artifact if it is still idle; answers whether it was.</summary>
    Task<bool> DeleteIdleAsync(string artifactId, DateTimeOffset since, CancellationToken cancellationToken);

    /// <summary>Deletes what uploads that were broken off before that moment have left.</summary>
    Task DeleteBrokenUploadsAsync(DateTimeOffset before, CancellationToken cancellationToken);
}

/// <summary>Knows which artifacts the database speaks of.</summary>
public interface IArtifactUses
{
    /// <summary>Those among the given ids that a job, model, data set, file, schedule or anything else in the database names.</summary>
    Task<IReadOnlySet<string>> FindUsedAsync(IReadOnlySet<string> ids, CancellationToken cancellationToken);
}

/// <summary>Reads what a model takes and gives, and refuses files that cannot be served.</summary>
public interface IModelInspector
{
    /// <summary>Looks at a file; with <paramref name="batching"/>, at whether those settings suit it, too.</summary>
    /// <param name="path">The ONNX file.</param>
    /// <param name="batching">Settings to look at, too.</param>
    /// <param name="madeHere">True for what our own trainer wrote: it is trusted.</param>
    /// <exception cref="ProblemException"><c>not_an_onnx_model</c>, <c>external_data_missing</c>, <c>unsupported_operator</c>, <c>model_process_ended</c>, <c>model_run_timeout</c> (it cannot be loaded with the memory and in the time that a model has) or, for the settings, <c>invalid_value</c>.</exception>
    ModelInspection Inspect(string path, BatchingSettings? batching = null, bool madeHere = false);
}

/// <summary>What a model file turned out to be.</summary>
/// <param name="Signature">Its inputs and outputs.</param>
/// <param name="Batch">Whether its rows can be computed together.</param>
/// <param name="Padding">Whether requests can be padded along the ragged axis of the settings; null where they have none.</param>
/// <param name="Isolation">Whether it is to run in a process of its own; null where it was made here.</param>
public sealed record ModelInspection(ModelSignature Signature, BatchCheck Batch, BatchCheck? Padding = null, IsolationCheck? Isolation = null);
