using System.IO.Compression;
using QueueMaaS.Contracts;

namespace QueueMaaS.Data.Archives;

/// <summary>A zip file whose entries were checked before any was read, and whose reading is counted against the same limits. One reader at a time.</summary>
public sealed class GuardedZip : IDisposable
{
    private const int UnixTypeMask = 0xF000;
    private const int UnixSymbolicLink = 0xA000;

    private readonly ZipArchive _zip;

    private GuardedZip(ZipArchive zip, DatasetLimits limits)
    {
        _zip = zip;
        Limits = limits;
    }

    /// <summary>What it was checked against.</summary>
    public DatasetLimits Limits { get; }

    /// <summary>The files, folders and the litter of desktop systems left out, sorted by path so that every reading has the same order.</summary>
    public IReadOnlyList<ZipArchiveEntry> Files { get; private set; } = [];

    /// <summary>Opens and checks a zip.</summary>
    /// <exception cref="ProblemException"><c>archive_invalid</c>, <c>archive_path_escape</c> or <c>archive_too_large</c>.</exception>
    public static GuardedZip Open(string path, DatasetLimits limits)
    {
        ZipArchive? zip = null;
        try
        {
            zip = ZipFile.OpenRead(path);
            var guarded = new GuardedZip(zip, limits);
            guarded.Files = guarded.Check();
            zip = null;
            return guarded;
        }
        catch (Exception e) when (e is InvalidDataException or EndOfStreamException or ArgumentException or OverflowException or NotSupportedException)
        {
            throw new ProblemException(
                Problem.Create(ProblemCodes.ArchiveInvalid, "The archive is not a readable zip file: it is damaged, cut short or of another kind. Pack its files as a zip again and upload that."), e);
        }
        finally
        {
            zip?.Dispose();
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _zip.Dispose();

    /// <summary>Opens an entry for reading; the stream stops the reader once more comes out than was declared, or when the whole of it does not have its checksum.</summary>
    public static Stream Read(ZipArchiveEntry entry) => new MeasuredStream(entry.Open(), entry.FullName, entry.Length, entry.Crc32);

    /// <summary>Reads one whole entry.</summary>
    public byte[] ReadAll(ZipArchiveEntry entry)
    {
        if (entry.Length > Limits.MaxImageBytes)
        {
            throw new ProblemException(
                ProblemCodes.ImageUnreadable, $"The image '{entry.FullName}' has {entry.Length:N0} bytes; at most {Limits.MaxImageBytes:N0} are read. Make it smaller.",
                ("item", entry.FullName), ("bytes", entry.Length));
        }

        var bytes = new byte[entry.Length];
        using var stream = Read(entry);
        var read = stream.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false);
        if (read < bytes.Length)
            throw new InvalidDataException($"The entry '{entry.FullName}' ends after {read:N0} of its {bytes.Length:N0} bytes.");
        if (stream.ReadByte() >= 0)
            throw new InvalidDataException($"The entry '{entry.FullName}' goes on after its declared end.");
        return bytes;
    }

    private List<ZipArchiveEntry> Check()
    {
        var entries = _zip.Entries;
        if (entries.Count > Limits.MaxEntries)
            throw TooLarge($"It has {entries.Count:N0} entries; at most {Limits.MaxEntries:N0} are allowed.", ("entries", entries.Count), ("limit", Limits.MaxEntries));

        var files = new List<ZipArchiveEntry>(entries.Count);
        long unpacked = 0;
        foreach (var entry in entries)
        {
            CheckPath(entry);
            if (entry.IsEncrypted)
                throw new ProblemException(ProblemCodes.ArchiveInvalid, $"The entry '{entry.FullName}' is encrypted. Pack the files without a password.", ("entry", entry.FullName));
            if (entry.Length < 0 || entry.CompressedLength < 0)
                throw new ProblemException(ProblemCodes.ArchiveInvalid, $"The entry '{entry.FullName}' declares an impossible size: the archive is damaged.", ("entry", entry.FullName));
            // Subtracting cannot overflow where adding could: declared sizes are any 64-bit number.
            if (entry.Length > Limits.MaxUnpackedBytes - unpacked)
                throw TooLarge($"It unpacks to more than {Limits.MaxUnpackedBytes:N0} bytes.", ("entry", entry.FullName), ("limit", Limits.MaxUnpackedBytes));
            unpacked += entry.Length;
            if (entry.Length > Limits.RatioFreeBytes && entry.Length / Limits.MaxRatio > entry.CompressedLength)
            {
                throw TooLarge(
                    $"Its entry '{entry.FullName}' unpacks {entry.CompressedLength:N0} bytes to {entry.Length:N0}, more than {Limits.MaxRatio} times; no images or weights do.",
                    ("entry", entry.FullName), ("ratio", entry.Length / Math.Max(1, entry.CompressedLength)), ("limit", Limits.MaxRatio));
            }

            if (!entry.FullName.EndsWith('/') && !IsLitter(entry.FullName))
                files.Add(entry);
        }

        files.Sort((a, b) => string.CompareOrdinal(a.FullName, b.FullName));
        return files;
    }

    private static void CheckPath(ZipArchiveEntry entry)
    {
        var path = entry.FullName;
        var reason =
            path.Contains('\\', StringComparison.Ordinal) ? "has a backslash in its path"
            : path.StartsWith('/') ? "has an absolute path"
            : path is [_, ':', ..] ? "begins with a drive letter"
            : path.Contains('\0', StringComparison.Ordinal) ? "has a zero byte in its path"
            : path.Split('/').Contains("..") ? "leads out of the archive with '..'"
            : ((entry.ExternalAttributes >> 16) & UnixTypeMask) == UnixSymbolicLink ? "is a symbolic link"
            : null;
        if (reason is not null)
        {
            throw new ProblemException(
                ProblemCodes.ArchivePathEscape, $"The entry '{path}' {reason}. Pack plain files with relative paths and forward slashes.", ("entry", path));
        }
    }

    private static bool IsLitter(string path)
    {
        var name = path[(path.LastIndexOf('/') + 1)..];
        return path.StartsWith("__MACOSX/", StringComparison.Ordinal) || path.Contains("/__MACOSX/", StringComparison.Ordinal)
            || name is ".DS_Store" or "Thumbs.db" or "desktop.ini" || name.StartsWith("._", StringComparison.Ordinal);
    }

    internal static ProblemException TooLarge(string reason, params (string, object?)[] details) =>
        new(ProblemCodes.ArchiveTooLarge, $"The archive is too large. {reason} Upload a smaller one, or ask the operator to raise the limit.", details);
}
