using System.Runtime.CompilerServices;
using Microsoft.Extensions.Options;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Catalog;

namespace QueueMaaS.Storage.Artifacts;

/// <summary>
/// Artifacts as files in a folder, named by their hash. Several processes may share the folder: a file appears whole, by a rename, or not at all.
/// The time of a file's last change is the time of its last use: it is set when the file is stored again or read.
/// </summary>
public sealed class FileArtifactStore : IArtifactStore, IArtifactUpkeep
{
    private static readonly TimeSpan TouchAfter = TimeSpan.FromHours(1);
    private readonly string _root;
    private readonly TimeProvider _time;

    public FileArtifactStore(IOptions<StorageOptions> options, TimeProvider time)
    {
        _time = time;
        _root = Path.Combine(Path.GetFullPath(options.Value.DataFolder), "artifacts");
        Directory.CreateDirectory(Path.Combine(_root, "incoming"));
    }

    public async Task<Artifact> PutAsync(Stream content, long maxBytes, CancellationToken cancellationToken)
    {
        var incoming = Path.Combine(_root, "incoming", Guid.NewGuid().ToString("n"));
        try
        {
            var (hash, bytes) = await HashedCopy.WriteAsync(content, incoming, maxBytes, cancellationToken);
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
        if (!Identifiers.IsArtifactId(artifactId) || new FileInfo(PathOf(artifactId[7..])) is not { Exists: true } file)
            throw ArtifactProblems.NotFound(artifactId);
        if (_time.GetUtcNow().UtcDateTime - file.LastWriteTimeUtc > TouchAfter)
            Touch(file.FullName);
        return Task.FromResult(file.FullName);
    }

    public Task DeleteAsync(string artifactId, CancellationToken cancellationToken)
    {
        if (Identifiers.IsArtifactId(artifactId) && Directory.Exists(Path.GetDirectoryName(PathOf(artifactId[7..]))))
            File.Delete(PathOf(artifactId[7..]));
        return Task.CompletedTask;
    }

    public async IAsyncEnumerable<Artifact> ListIdleAsync(DateTimeOffset since, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        foreach (var file in new DirectoryInfo(_root).EnumerateFiles("*", SearchOption.AllDirectories))
        {
            cancellationToken.ThrowIfCancellationRequested();
            if ($"sha256:{file.Name}" is var id && Identifiers.IsArtifactId(id) && IsIdle(file, since))
                yield return new Artifact(id, file.Length);
        }

        await Task.CompletedTask;
    }

    public Task TouchAsync(string artifactId, CancellationToken cancellationToken)
    {
        Touch(PathOf(artifactId[7..]));
        return Task.CompletedTask;
    }

    public Task<bool> DeleteIdleAsync(string artifactId, DateTimeOffset since, CancellationToken cancellationToken)
    {
        var file = new FileInfo(PathOf(artifactId[7..]));
        if (!file.Exists || !IsIdle(file, since))
            return Task.FromResult(false);
        file.Delete();
        return Task.FromResult(true);
    }

    public Task DeleteBrokenUploadsAsync(DateTimeOffset before, CancellationToken cancellationToken)
    {
        foreach (var file in new DirectoryInfo(Path.Combine(_root, "incoming")).EnumerateFiles())
        {
            if (IsIdle(file, before))
                file.Delete();
        }

        return Task.CompletedTask;
    }

    private static bool IsIdle(FileInfo file, DateTimeOffset since) => file.LastWriteTimeUtc < since.UtcDateTime;

    private void Touch(string path)
    {
        try
        {
            File.SetLastWriteTimeUtc(path, _time.GetUtcNow().UtcDateTime);
        }
        catch (Exception exception) when (exception is UnauthorizedAccessException or IOException)
        {
            // A folder that this process may only read, or a file that has just gone: reading says what there is to say.
        }
    }

    private string PathOf(string hash) => Path.Combine(_root, hash[..2], hash);
}
