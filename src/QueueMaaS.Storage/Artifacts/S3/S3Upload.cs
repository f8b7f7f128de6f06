using Amazon.S3.Model;

namespace QueueMaaS.Storage.Artifacts.S3;

/// <summary>
/// Sends a local file: a small one in one request, a large one in parts, several at a time. Parts are read from the file as they are sent, so memory does not grow with the file, and a part that breaks is
/// read and sent again by the SDK. The object appears whole, when the last part is there, or not at all.
/// </summary>
internal sealed class S3Upload(S3Connection connection)
{
    private const int MostParts = 10_000;

    public async Task SendAsync(string file, long bytes, string key, CancellationToken cancellationToken)
    {
        if (bytes <= connection.Options.PartBytes)
        {
            // In one piece, signed with its hash: storages other than Amazon's often do not take bodies in signed chunks.
            await connection.Client.PutObjectAsync(new PutObjectRequest { BucketName = connection.Bucket, Key = key, FilePath = file, UseChunkEncoding = false, ContentType = "application/octet-stream" }, cancellationToken);
            return;
        }

        var begun = await connection.Client.InitiateMultipartUploadAsync(new InitiateMultipartUploadRequest { BucketName = connection.Bucket, Key = key, ContentType = "application/octet-stream" }, cancellationToken);
        try
        {
            var size = Math.Max(connection.Options.PartBytes, (bytes + MostParts - 1) / MostParts);
            var tags = new PartETag[(bytes + size - 1) / size];
            var parallel = new ParallelOptions { MaxDegreeOfParallelism = connection.Options.Parallel, CancellationToken = cancellationToken };
            await Parallel.ForAsync(0, tags.Length, parallel, async (i, token) =>
            {
                var part = new UploadPartRequest
                {
                    BucketName = connection.Bucket,
                    Key = key,
                    UploadId = begun.UploadId,
                    PartNumber = i + 1,
                    FilePath = file,
                    FilePosition = i * size,
                    PartSize = Math.Min(size, bytes - (i * size)),
                    UseChunkEncoding = false,
                    IsLastPart = i == tags.Length - 1,
                };
                tags[i] = new PartETag(i + 1, (await connection.Client.UploadPartAsync(part, token)).ETag);
            });
            await connection.Client.CompleteMultipartUploadAsync(new CompleteMultipartUploadRequest { BucketName = connection.Bucket, Key = key, UploadId = begun.UploadId, PartETags = [.. tags] }, cancellationToken);
        }
        catch
        {
            await AbortAsync(key, begun.UploadId);
            throw;
        }
    }

    /// <summary>Frees what was sent. Where this fails too, the upkeep does it later.</summary>
    private async Task AbortAsync(string key, string uploadId)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(10));
        try
        {
            await connection.Client.AbortMultipartUploadAsync(new AbortMultipartUploadRequest { BucketName = connection.Bucket, Key = key, UploadId = uploadId }, limit.Token);
        }
        catch (Exception exception) when (S3Failures.IsOfStorage(exception) || exception is OperationCanceledException)
        {
            // The first failure is the one to tell.
        }
    }
}
