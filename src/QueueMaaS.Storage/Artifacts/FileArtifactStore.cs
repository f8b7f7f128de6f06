using System.Buffers;
using System.Security.Cryptography;
using Microsoft.Extensions.Options;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Catalog;

namespace QueueMaaS.Storage.Artifacts;

/// <summary>Artifacts as files in a folder, named by their hash. Several processes may share the folder: a file appears whole, by a rename, or not at all.</summary>
public sealed class FileArtifactStore : IArtifactStore
{
    private readonly string _root;

    public FileArtifactStore(IOptions<StorageOptions> options)
    {
        _root = Path.Combine(Path.GetFullPath(options.Value.DataFolder), "artifacts");
        Directory.CreateDirectory(Path.Combine(_root, "incoming"));
    }

    public async Task<Artifact> PutAsync(Stream content, long maxBytes, CancellationToken cancellationToken)
    {
        var incoming = Path.Combine(_root, "incoming", Guid.NewGuid().ToString("n"));
        try
        {
            var (hash, bytes) = await CopyAsync(content, incoming, maxBytes, cancellationToken);
            var target = PathOf(hash);
            Directory.CreateDirectory(Path.GetDirectoryName(target)!);
            File.Move(incoming, target, overwrite: true);
            return new Artifact($"sha256:{hash}", bytes);
        }
        finally
        {
            File.Delete(incoming);
        }
    }

    public Task<string> GetFileAsync(string artifactId, CancellationToken cancellationToken)
    {
        if (!Identifiers.IsArtifactId(artifactId) || PathOf(artifactId[7..]) is not { } path || !File.Exists(path))
            throw new ProblemException(ProblemCodes.ArtifactNotFound, $"There is no artifact `{artifactId}`. Artifact ids are `sha256:` and 64 hexadecimal digits, as the upload answered.", ("artifact", artifactId));
        return Task.FromResult(path);
    }

    public Task DeleteAsync(string artifactId, CancellationToken cancellationToken)
    {
        if (Identifiers.IsArtifactId(artifactId) && Directory.Exists(Path.GetDirectoryName(PathOf(artifactId[7..]))))
            File.Delete(PathOf(artifactId[7..]));
        return Task.CompletedTask;
    }

    private string PathOf(string hash) => Path.Combine(_root, hash[..2], hash);

    private static async Task<(string Hash, long Bytes)> CopyAsync(Stream content, string path, long maxBytes, CancellationToken cancellationToken)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var buffer = ArrayPool<byte>.Shared.Rent(1 << 17);
        try
        {
            await using var file = new FileStream(path, FileMode.CreateNew, FileAccess.Write, FileShare.None, bufferSize: 0, useAsync: true);
            long total = 0;
            int read;
            while ((read = await content.ReadAsync(buffer, cancellationToken)) > 0)
            {
                total += read;
                if (total > maxBytes)
                    throw new ProblemException(ProblemCodes.TooLarge, $"The upload is larger than {maxBytes} bytes, the configured limit.", ("limit", maxBytes));
                hash.AppendData(buffer, 0, read);
                await file.WriteAsync(buffer.AsMemory(0, read), cancellationToken);
            }

            file.Flush(flushToDisk: true);
            return (Convert.ToHexStringLower(hash.GetHashAndReset()), total);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }
}
