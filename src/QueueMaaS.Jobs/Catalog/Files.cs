namespace QueueMaaS.Jobs.Catalog;

/// <summary>A file with a name: an artifact as OpenAI's clients know it.</summary>
/// <param name="Id">Names it in paths.</param>
/// <param name="Name">As its sender called it.</param>
/// <param name="Purpose">What it is for, such as <c>batch</c> or <c>batch_output</c>.</param>
/// <param name="Artifact">Its content.</param>
/// <param name="Bytes">Its size.</param>
/// <param name="CreatedAt">When it came.</param>
public sealed record StoredFile(string Id, string Name, string Purpose, string Artifact, long Bytes, DateTimeOffset CreatedAt);

/// <summary>Files with names.</summary>
public interface IFileCatalog
{
    /// <summary>Keeps a file; one whose id is known already stays as it is.</summary>
    Task AddAsync(string tenant, StoredFile file, CancellationToken cancellationToken);

    Task<StoredFile?> FindAsync(string tenant, string id, CancellationToken cancellationToken);

    /// <summary>Files, newest first, after one of them.</summary>
    Task<IReadOnlyList<StoredFile>> ListAsync(string tenant, string? purpose, string? after, int limit, CancellationToken cancellationToken);

    /// <summary>Forgets a file; its content stays as long as anything else refers to it. False where there is none.</summary>
    Task<bool> DeleteAsync(string tenant, string id, CancellationToken cancellationToken);
}
