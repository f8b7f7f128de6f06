using System.IO.Compression;
using QueueMaaS.Contracts;
using QueueMaaS.Data.Archives;

namespace QueueMaaS.Data.Arrays;

/// <summary>A NumPy array in a file, read row by row from wherever one likes. Thread-safe.</summary>
public sealed class NpyFile : IDisposable
{
    private readonly FileStream _file;

    private NpyFile(FileStream file, NpyHeader header)
    {
        _file = file;
        Header = header;
    }

    /// <summary>What it holds.</summary>
    public NpyHeader Header { get; }

    /// <summary>Bytes of one entry of the first axis.</summary>
    public int RowBytes => checked((int)(Header.RowElements * Header.ElementSize));

    /// <summary>Opens a <c>.npy</c> file and checks that it is as long as its header says.</summary>
    /// <exception cref="ProblemException"><c>array_invalid</c>.</exception>
    public static NpyFile Open(string path)
    {
        var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0, FileOptions.RandomAccess);
        try
        {
            var header = NpyHeader.Read(file);
            var expected = header.DataOffset + (header.Rows * header.RowElements * header.ElementSize);
            if (file.Length < expected)
                throw NpyHeader.Invalid($"Its header says {string.Join(" × ", header.Shape)} elements, {expected:n0} bytes in all, but it has {file.Length:n0}: it was cut short.");
            if (header.RowElements * header.ElementSize > Array.MaxLength)
                throw NpyHeader.Invalid("One of its rows is larger than 2 GB.");
            return new(file, header);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>Reads rows into <paramref name="target"/>, which holds a whole number of them.</summary>
    public void Read(long firstRow, Span<byte> target)
    {
        var at = Header.DataOffset + (firstRow * RowBytes);
        while (target.Length > 0)
        {
            var read = RandomAccess.Read(_file.SafeFileHandle, target, at);
            if (read == 0)
                throw NpyHeader.Invalid("It was cut short while it was read.");
            at += read;
            target = target[read..];
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _file.Dispose();

    /// <summary>Writes one array of an <c>.npz</c> archive as a <c>.npy</c> file: archives are compressed, and rows are to be read from anywhere.</summary>
    /// <param name="npz">The archive.</param>
    /// <param name="name">Which array; null where there is only one.</param>
    /// <param name="target">The file to write.</param>
    /// <exception cref="ProblemException"><c>array_invalid</c>, <c>archive_invalid</c>, <c>archive_too_large</c> or <c>archive_path_escape</c>.</exception>
    public static void Unpack(string npz, string? name, string target)
    {
        try
        {
            using var zip = GuardedZip.Open(npz, new DatasetLimits { MaxUnpackedBytes = 256L << 30, MaxRatio = 1100, MaxEntries = 10_000 });
            using var content = GuardedZip.Read(Find(zip.Files, name));
            using var file = File.Create(target);
            content.CopyTo(file);
        }
        catch (InvalidDataException e)
        {
            throw new ProblemException(Problem.Create(ProblemCodes.ArchiveInvalid, "The .npz archive is damaged. Write it again with numpy.savez."), e);
        }
    }

    private static ZipArchiveEntry Find(IReadOnlyList<ZipArchiveEntry> entries, string? name)
    {
        var arrays = entries.Where(static entry => entry.FullName.EndsWith(".npy", StringComparison.Ordinal)).ToArray();
        var found = name is null ? arrays : [.. arrays.Where(entry => entry.FullName == $"{name}.npy")];
        if (found is [var only])
            return only;
        var names = string.Join(", ", arrays.Take(20).Select(static entry => $"'{entry.FullName[..^4]}'"));
        throw NpyHeader.Invalid(name is null
            ? $"The .npz archive holds {arrays.Length} arrays ({names}); name one in `array`."
            : $"The .npz archive has no array '{name}'; it has {names}.");
    }
}
