using Microsoft.Extensions.Options;
using QueueMaaS.Jobs.Leasing;

namespace QueueMaaS.Storage.Presence;

/// <summary>Presence of the processes that share a data folder, by locked files in it: the operating system drops a lock with its process.</summary>
internal sealed class FilePresence(IOptions<StorageOptions> options) : IWorkerPresence, IDisposable
{
    private readonly string _folder = Path.Combine(options.Value.DataFolder, "workers");
    private readonly HashSet<string> _gone = new(StringComparer.Ordinal);
    private FileStream? _shown;
    private string? _path;

    public async Task ShowAsync(string worker, CancellationToken cancellationToken)
    {
        if (_shown is not null)
            return;
        Directory.CreateDirectory(_folder);
        var path = Path.Combine(_folder, $"{Guid.NewGuid():n}.lock");
        // The name is written before the file appears under the name that others look for.
        await File.WriteAllTextAsync(path + ".new", worker, cancellationToken);
        var file = new FileStream(path + ".new", FileMode.Open, FileAccess.ReadWrite, FileShare.None);
        File.Move(path + ".new", path);
        if (TryOpen(path) is { } second)
        {
            // A file system without locks, such as some network shares: others would take this worker for dead.
            second.Dispose();
            File.Delete(path);
        }

        (_shown, _path) = (file, path);
    }

    public async Task<IReadOnlyCollection<string>> GoneAsync(CancellationToken cancellationToken)
    {
        if (!Directory.Exists(_folder))
            return [];
        foreach (var path in Directory.EnumerateFiles(_folder, "*.lock"))
        {
            if (path == _path || TryOpen(path) is not { } left)
                continue;
            using (left)
            using (var text = new StreamReader(left))
                _gone.Add(await text.ReadToEndAsync(cancellationToken));
            File.Delete(path);
        }

        return _gone;
    }

    public void Dispose()
    {
        if (_path is null)
            return;
        // Deleted while it is still locked: a worker that stopped in order has given its leases back, and nobody looks for it.
        File.Delete(_path);
        _shown?.Dispose();
    }

    private static FileStream? TryOpen(string path)
    {
        try
        {
            return new FileStream(path, FileMode.Open, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException)
        {
            // Locked by a living process, or deleted by another that looked.
            return null;
        }
    }
}
