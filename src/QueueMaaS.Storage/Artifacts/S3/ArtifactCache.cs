using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

namespace QueueMaaS.Storage.Artifacts.S3;

/// <summary>
/// Copies of artifacts on this machine, for readers that want a file. A copy appears whole, by a rename, or not at all; the time of its last change is that of its last use. When the copies together are
/// larger than they may be, those used least recently go, but never one that is open, or was asked for within the last minutes and may be opened yet. What readers unpack beside a copy goes with it.
/// </summary>
public sealed partial class ArtifactCache
{
    /// <summary>Whoever asked for a file opens it, or asks again, within this time.</summary>
    public static readonly TimeSpan Grace = TimeSpan.FromMinutes(10);
    private readonly ConcurrentDictionary<string, Lazy<Task<string>>> _coming = new(StringComparer.Ordinal);
    private readonly Lock _trimming = new();
    private long _estimate = long.MaxValue;
    private long _trimmedAt;
    private readonly string _root;
    private readonly long _limit;
    private readonly TimeProvider _time;
    private readonly ILogger<ArtifactCache> _logger;

    public ArtifactCache(string folder, long limit, TimeProvider time, ILogger<ArtifactCache> logger)
    {
        (_root, _limit, _time, _logger) = (Path.GetFullPath(folder), limit, time, logger);
        Directory.CreateDirectory(Incoming);
    }

    private string Incoming => Path.Combine(_root, "incoming");

    /// <summary>A new file that no other reader sees.</summary>
    public string NewFile() => Path.Combine(Incoming, Guid.NewGuid().ToString("n"));

    /// <summary>The copy, with its time set to now; null where there is none.</summary>
    public string? Find(string hash)
    {
        var path = PathOf(hash);
        try
        {
            File.SetLastWriteTimeUtc(path, _time.GetUtcNow().UtcDateTime);
            return path;
        }
        catch (IOException)
        {
            return null;
        }
    }

    /// <summary>The copy, fetched where there is none yet; however many ask, it is fetched once.</summary>
    /// <param name="hash">The artifact's.</param>
    /// <param name="fetch">Fills a new file whose path it is given, and has checked the content when it returns.</param>
    /// <param name="cancellationToken">Ends the waiting of this caller, not the fetching that others wait for.</param>
    public async Task<string> GetAsync(string hash, Func<string, Task> fetch, CancellationToken cancellationToken)
    {
        if (Find(hash) is { } known)
            return known;
        var coming = _coming.GetOrAdd(hash, _ => new Lazy<Task<string>>(() => FetchAsync(hash, fetch)));
        try
        {
            return await coming.Value.WaitAsync(cancellationToken);
        }
        finally
        {
            if (coming.Value.IsCompleted)
                _coming.TryRemove(KeyValuePair.Create(hash, coming));
        }
    }

    /// <summary>Takes over a file made with <see cref="NewFile"/>.</summary>
    public string Keep(string file, string hash)
    {
        var path = PathOf(hash);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.Move(file, path, overwrite: true);
        _ = Find(hash);
        // Looking at every copy for each new one would cost more than the copies. Processes that share the folder do not know of each other's, so it is done now and then anyway.
        if (_estimate == long.MaxValue || Interlocked.Add(ref _estimate, new FileInfo(path).Length) > _limit || _time.GetElapsedTime(_trimmedAt) > Grace)
            Trim();
        return path;
    }

    /// <summary>Removes a copy.</summary>
    public void Drop(string hash)
    {
        var path = PathOf(hash);
        if (!Directory.Exists(Path.GetDirectoryName(path)))
            return;
        File.Delete(path);
        foreach (var unpacked in Directory.EnumerateDirectories(Path.GetDirectoryName(path)!, $"{hash}.*"))
            Directory.Delete(unpacked, recursive: true);
    }

    /// <summary>Deletes what interrupted processes have left.</summary>
    public void DeleteBroken(DateTimeOffset before)
    {
        foreach (var file in new DirectoryInfo(Incoming).EnumerateFiles().Where(file => file.LastWriteTimeUtc < before.UtcDateTime))
            file.Delete();
    }

    /// <summary>Makes room. Answers how many bytes the copies take up then.</summary>
    public long Trim()
    {
        if (!_trimming.TryEnter())
            return -1;
        try
        {
            var copies = Directory.EnumerateDirectories(_root).Where(static folder => Path.GetFileName(folder).Length == 2)
                .SelectMany(static folder => new DirectoryInfo(folder).EnumerateFiles()).Where(static file => file.Name.Length == 64)
                .Select(static file => (File: file, Bytes: file.Length + Beside(file))).OrderBy(static copy => copy.File.LastWriteTimeUtc).ToArray();
            var total = copies.Sum(static copy => copy.Bytes);
            foreach (var (file, bytes) in copies)
            {
                if (total <= _limit)
                    break;
                if (file.LastWriteTimeUtc > (_time.GetUtcNow() - Grace).UtcDateTime || !TryDrop(file))
                    continue;
                total -= bytes;
                LogDropped(_logger, file.Name, bytes);
            }

            _trimmedAt = _time.GetTimestamp();
            Volatile.Write(ref _estimate, total);
            return total;
        }
        catch (IOException exception)
        {
            // Another process trims the same folder.
            LogFailed(_logger, exception.Message);
            return -1;
        }
        finally
        {
            _trimming.Exit();
        }
    }

    private static long Beside(FileInfo file) =>
        file.Directory!.EnumerateDirectories($"{file.Name}.*").Sum(static folder => folder.EnumerateFiles("*", SearchOption.AllDirectories).Sum(static unpacked => unpacked.Length));

    private bool TryDrop(FileInfo file)
    {
        try
        {
            // Readers share the file with readers: whoever gets it alone knows that there are none.
            using var alone = new FileStream(file.FullName, FileMode.Open, FileAccess.Read, FileShare.None);
            Drop(file.Name);
            return true;
        }
        catch (IOException)
        {
            return false;
        }
    }

    private async Task<string> FetchAsync(string hash, Func<string, Task> fetch)
    {
        var file = NewFile();
        try
        {
            await fetch(file);
            return Keep(file, hash);
        }
        finally
        {
            File.Delete(file);
        }
    }

    private string PathOf(string hash) => Path.Combine(_root, hash[..2], hash);

    [LoggerMessage(Level = LogLevel.Debug, Message = "The local copy of artifact {Hash} ({Bytes} bytes) made room for others")]
    private static partial void LogDropped(ILogger logger, string hash, long bytes);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Local copies of artifacts could not be tidied up ({Reason}); it is tried again with the next copy")]
    private static partial void LogFailed(ILogger logger, string reason);
}
