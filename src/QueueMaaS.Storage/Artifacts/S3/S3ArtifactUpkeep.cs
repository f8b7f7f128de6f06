using System.Runtime.CompilerServices;
using Amazon.S3;
using Amazon.S3.Model;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Catalog;

namespace QueueMaaS.Storage.Artifacts.S3;

/// <summary>Finds and deletes objects that nobody uses, and frees what broken uploads have left.</summary>
public sealed class S3ArtifactUpkeep(S3Connection connection, S3ArtifactStore store, ArtifactCache cache) : IArtifactUpkeep
{
    /// <summary>Artifacts and the times of their last use are listed side by side: both lists come in the order of the hashes.</summary>
    public async IAsyncEnumerable<Artifact> ListIdleAsync(DateTimeOffset since, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await using var uses = ListAsync(connection.UsePrefix, cancellationToken).GetAsyncEnumerator(cancellationToken);
        var more = await uses.MoveNextAsync();
        await foreach (var (hash, artifact) in ListAsync(connection.ArtifactPrefix, cancellationToken))
        {
            while (more && string.CompareOrdinal(uses.Current.Hash, hash) < 0)
                more = await uses.MoveNextAsync();
            var used = more && uses.Current.Hash == hash ? uses.Current.Object : null;
            if ($"sha256:{hash}" is var id && Identifiers.IsArtifactId(id) && IsBefore(artifact, since) && (used is null || IsBefore(used, since)))
                yield return new Artifact(id, artifact.Size ?? 0);
        }
    }

    public async Task TouchAsync(string artifactId, CancellationToken cancellationToken) => await store.TouchAsync(artifactId, cancellationToken);

    public async Task<bool> DeleteIdleAsync(string artifactId, DateTimeOffset since, CancellationToken cancellationToken)
    {
        if (await store.HeadAsync(artifactId, cancellationToken) is not { } head || head.LastModified?.ToUniversalTime() >= since.UtcDateTime)
            return false;
        try
        {
            var used = await connection.Client.GetObjectMetadataAsync(connection.Bucket, connection.UseKeyOf(artifactId), cancellationToken);
            if (used.LastModified?.ToUniversalTime() >= since.UtcDateTime)
                return false;
        }
        catch (AmazonS3Exception exception) when (S3Failures.IsMissing(exception))
        {
            // Never used since it was stored.
        }

        await store.DeleteAsync(artifactId, cancellationToken);
        return true;
    }

    public async Task DeleteBrokenUploadsAsync(DateTimeOffset before, CancellationToken cancellationToken)
    {
        cache.DeleteBroken(before);
        var request = new ListMultipartUploadsRequest { BucketName = connection.Bucket, Prefix = connection.ArtifactPrefix };
        ListMultipartUploadsResponse page;
        do
        {
            page = await connection.Client.ListMultipartUploadsAsync(request, cancellationToken);
            foreach (var upload in page.MultipartUploads ?? [])
            {
                if (upload.Initiated?.ToUniversalTime() < before.UtcDateTime && upload.Key.StartsWith(connection.ArtifactPrefix, StringComparison.Ordinal))
                    await connection.Client.AbortMultipartUploadAsync(new AbortMultipartUploadRequest { BucketName = connection.Bucket, Key = upload.Key, UploadId = upload.UploadId }, cancellationToken);
            }

            (request.KeyMarker, request.UploadIdMarker) = (page.NextKeyMarker, page.NextUploadIdMarker);
        }
        while (page.IsTruncated == true);
    }

    private static bool IsBefore(S3Object found, DateTimeOffset since) => found.LastModified?.ToUniversalTime() < since.UtcDateTime;

    private async IAsyncEnumerable<(string Hash, S3Object Object)> ListAsync(string prefix, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var request = new ListObjectsV2Request { BucketName = connection.Bucket, Prefix = prefix };
        ListObjectsV2Response page;
        do
        {
            page = await connection.Client.ListObjectsV2Async(request, cancellationToken);
            foreach (var found in page.S3Objects ?? [])
                yield return (found.Key[prefix.Length..], found);
            request.ContinuationToken = page.NextContinuationToken;
        }
        while (page.IsTruncated == true);
    }
}
