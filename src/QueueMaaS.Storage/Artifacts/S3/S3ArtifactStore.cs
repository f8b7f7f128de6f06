using System.Collections.Concurrent;
using Amazon.S3;
using Amazon.S3.Model;
using Microsoft.Extensions.Logging;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Catalog;

namespace QueueMaaS.Storage.Artifacts.S3;

/// <summary>
/// Artifacts as objects in a bucket, named by the hash of their content. What comes in is written to a local file first, as its name is known only at its end; so a broken upload never reaches the bucket,
/// what is there already is not sent again, and memory does not grow with the size. What goes out is read in ranges, or copied to this machine where a file is wanted, and its hash compared.
/// </summary>
public sealed partial class S3ArtifactStore(S3Connection connection, ArtifactCache cache, TimeProvider time, ILogger<S3ArtifactStore> logger) : IArtifactStore
{
    private static readonly TimeSpan TouchAfter = TimeSpan.FromHours(1);
    private const int MostRemembered = 100_000;
    private readonly S3Upload _upload = new(connection);
    private readonly ConcurrentDictionary<string, DateTimeOffset> _touched = new(StringComparer.Ordinal);

    public async Task<Artifact> PutAsync(Stream content, long maxBytes, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(content);
        var file = cache.NewFile();
        try
        {
            var (hash, bytes) = await HashedCopy.WriteAsync(content, file, maxBytes, cancellationToken);
            var artifact = new Artifact($"sha256:{hash}", bytes);
            await S3Failures.GuardAsync(async () =>
            {
                // Noted as used before it is looked for: the upkeep, which deletes what nobody uses, looks in the other order.
                if (!_touched.ContainsKey(artifact.Id))
                    await TouchAsync(artifact.Id, cancellationToken);
                if (await HeadAsync(artifact.Id, cancellationToken) is not { } there || there.ContentLength != bytes)
                    await _upload.SendAsync(file, bytes, connection.KeyOf(artifact.Id), cancellationToken);
                return 0;
            }, cancellationToken);
            cache.Keep(file, hash);
            return artifact;
        }
        finally
        {
            File.Delete(file);
        }
    }

    public async Task<string> GetFileAsync(string artifactId, CancellationToken cancellationToken)
    {
        Require(artifactId);
        var hash = artifactId[7..];
        if (cache.Find(hash) is { } copy)
        {
            await NoteUseAsync(artifactId, cancellationToken);
            return copy;
        }

        // Whoever comes first fetches for all, so nobody's impatience ends it.
        var path = await cache.GetAsync(hash, file => S3Failures.GuardAsync(() => FetchAsync(artifactId, file), CancellationToken.None), cancellationToken);
        await NoteUseAsync(artifactId, cancellationToken);
        return path;
    }

    public async Task<Stream> OpenAsync(string artifactId, CancellationToken cancellationToken)
    {
        Require(artifactId);
        if (cache.Find(artifactId[7..]) is { } copy)
        {
            try
            {
                return new FileStream(copy, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0, useAsync: true);
            }
            catch (FileNotFoundException)
            {
                // Gone in this moment: the bucket has it.
            }
        }

        var head = await S3Failures.GuardAsync(() => RequireHeadAsync(artifactId, cancellationToken), cancellationToken);
        await NoteUseAsync(artifactId, cancellationToken);
        return new S3Content(connection, connection.KeyOf(artifactId), head.ETag, head.ContentLength);
    }

    public async Task<Artifact> DescribeAsync(string artifactId, CancellationToken cancellationToken)
    {
        Require(artifactId);
        var head = await S3Failures.GuardAsync(() => RequireHeadAsync(artifactId, cancellationToken), cancellationToken);
        await NoteUseAsync(artifactId, cancellationToken);
        return new Artifact(artifactId, head.ContentLength);
    }

    public async Task DeleteAsync(string artifactId, CancellationToken cancellationToken)
    {
        if (!Identifiers.IsArtifactId(artifactId))
            return;
        await S3Failures.GuardAsync(async () =>
        {
            await connection.Client.DeleteObjectAsync(connection.Bucket, connection.KeyOf(artifactId), cancellationToken);
            await connection.Client.DeleteObjectAsync(connection.Bucket, connection.UseKeyOf(artifactId), cancellationToken);
            return 0;
        }, cancellationToken);
        Forget(artifactId);
    }

    /// <summary>Notes that an artifact is in use now.</summary>
    internal async Task TouchAsync(string artifactId, CancellationToken cancellationToken)
    {
        await connection.Client.PutObjectAsync(new PutObjectRequest { BucketName = connection.Bucket, Key = connection.UseKeyOf(artifactId), ContentBody = "", UseChunkEncoding = false }, cancellationToken);
        // Losing this memory costs a request for each artifact.
        if (_touched.Count > MostRemembered)
            _touched.Clear();
        _touched[artifactId] = time.GetUtcNow();
    }

    /// <summary>The artifact is gone from the bucket.</summary>
    internal void Forget(string artifactId)
    {
        _touched.TryRemove(artifactId, out _);
        cache.Drop(artifactId[7..]);
    }

    /// <summary>What the bucket says of an artifact; null where it has none.</summary>
    internal async Task<GetObjectMetadataResponse?> HeadAsync(string artifactId, CancellationToken cancellationToken)
    {
        try
        {
            return await connection.Client.GetObjectMetadataAsync(connection.Bucket, connection.KeyOf(artifactId), cancellationToken);
        }
        catch (AmazonS3Exception exception) when (S3Failures.IsMissing(exception))
        {
            return null;
        }
    }

    /// <summary>The same for whoever needs the artifact. An answer to HEAD has no body that could tell a missing object from a missing bucket, and the latter is no answer to whoever asks for an artifact.</summary>
    private async Task<GetObjectMetadataResponse> RequireHeadAsync(string artifactId, CancellationToken cancellationToken)
    {
        if (await HeadAsync(artifactId, cancellationToken) is { } head)
            return head;
        await connection.Client.ListObjectsV2Async(new ListObjectsV2Request { BucketName = connection.Bucket, MaxKeys = 1, Prefix = connection.ArtifactPrefix }, cancellationToken);
        throw ArtifactProblems.NotFound(artifactId);
    }

    private async Task NoteUseAsync(string artifactId, CancellationToken cancellationToken)
    {
        if (_touched.TryGetValue(artifactId, out var at) && time.GetUtcNow() - at < TouchAfter)
            return;
        try
        {
            await TouchAsync(artifactId, cancellationToken);
        }
        catch (Exception exception) when (S3Failures.IsOfStorage(exception) && !cancellationToken.IsCancellationRequested)
        {
            // A copy at hand serves without the storage; health says that it is away. Tried again in a minute and not with every read.
            _touched[artifactId] = time.GetUtcNow() - TouchAfter + TimeSpan.FromMinutes(1);
            LogNotNoted(logger, artifactId, S3Failures.Reason(exception));
        }
    }

    private async Task<int> FetchAsync(string artifactId, string file)
    {
        var head = await RequireHeadAsync(artifactId, CancellationToken.None);
        await using var content = new S3Content(connection, connection.KeyOf(artifactId), head.ETag, head.ContentLength);
        var (hash, _) = await HashedCopy.WriteAsync(content, file, long.MaxValue, CancellationToken.None);
        if (hash != artifactId[7..])
        {
            LogDamaged(logger, artifactId, connection.Options.Place);
            throw new ProblemException(ProblemCodes.ArtifactNotFound, $"The stored content of artifact `{artifactId}` is damaged: it does not have the hash that is its name. Upload the same file again.", ("artifact", artifactId));
        }

        return 0;
    }

    private static void Require(string artifactId)
    {
        if (!Identifiers.IsArtifactId(artifactId))
            throw ArtifactProblems.NotFound(artifactId);
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "That artifact {Artifact} is in use could not be noted: the storage of artifacts: {Reason}")]
    private static partial void LogNotNoted(ILogger logger, string artifact, string reason);

    [LoggerMessage(Level = LogLevel.Error, Message = "Artifact {Artifact} in {Place} is damaged: its content does not have the hash that is its name. Restore the object, or upload the same file again")]
    private static partial void LogDamaged(ILogger logger, string artifact, string place);
}
