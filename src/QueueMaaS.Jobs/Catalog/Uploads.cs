using QueueMaaS.Contracts;

namespace QueueMaaS.Jobs.Catalog;

/// <summary>Files that come in parts, over connections that may break: each part goes on where the last one ended, and the whole becomes an artifact.</summary>
public interface IUploadStore
{
    /// <summary>Begins an upload of <paramref name="bytes"/> bytes. What the sender says about it is kept as it is.</summary>
    Task<Upload> CreateAsync(long bytes, string? metadata, CancellationToken cancellationToken);

    /// <summary>How far it is; throws <c>upload_not_found</c>.</summary>
    Task<Upload> GetAsync(string id, CancellationToken cancellationToken);

    /// <summary>
    /// Adds a part that begins at <paramref name="offset"/>; what arrived of one that broke off stays. With its last byte the upload becomes an artifact.
    /// Throws <c>upload_not_found</c>, <c>upload_offset_conflict</c>, or <c>too_large</c> where more comes than was announced.
    /// </summary>
    Task<Upload> AppendAsync(string id, long offset, Stream part, CancellationToken cancellationToken);

    /// <summary>Forgets it and what arrived of it; throws <c>upload_not_found</c>.</summary>
    Task EndAsync(string id, CancellationToken cancellationToken);
}
