using System.Buffers;
using System.Security.Cryptography;
using QueueMaaS.Contracts;

namespace QueueMaaS.Storage.Artifacts;

/// <summary>Writes a stream to a new file, flushed to disk, and computes its hash on the way.</summary>
internal static class HashedCopy
{
    /// <exception cref="ProblemException"><c>too_large</c>.</exception>
    public static async Task<(string Hash, long Bytes)> WriteAsync(Stream content, string path, long maxBytes, CancellationToken cancellationToken)
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

/// <summary>What both stores answer to a name that they do not know.</summary>
internal static class ArtifactProblems
{
    public static ProblemException NotFound(string artifactId) =>
        new(ProblemCodes.ArtifactNotFound, $"There is no artifact `{artifactId}`. Artifact ids are `sha256:` and 64 hexadecimal digits, as the upload answered.", ("artifact", artifactId));
}
