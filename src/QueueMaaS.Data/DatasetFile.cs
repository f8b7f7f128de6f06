using System.IO.Compression;
using System.Text;
using QueueMaaS.Contracts;
using QueueMaaS.Data.Archives;
using QueueMaaS.Data.Arrays;
using QueueMaaS.Data.Cards;
using QueueMaaS.Data.Tables;

namespace QueueMaaS.Data;

/// <summary>What kind of data set a file is.</summary>
public enum DatasetKind
{
    /// <summary>Images in an archive.</summary>
    Images,
    /// <summary>A table, or texts: CSV, Parquet or JSON Lines, alone or in a zip.</summary>
    Table,
    /// <summary>NumPy arrays.</summary>
    Arrays,
}

/// <summary>A data set's file, whatever its kind. The kind is told from the content, not from a name.</summary>
public static class DatasetFile
{
    private static readonly string[] Tables = [".csv", ".tsv", ".parquet", ".jsonl", ".ndjson"];
    private static readonly string[] InputNames = ["x", "inputs", "input", "images", "data", "features", "x_train"];
    private static readonly string[] TargetNames = ["y", "labels", "label", "targets", "target", "y_train"];

    /// <summary>Finds out the kind.</summary>
    public static DatasetKind KindOf(string path, DatasetLimits? limits = null)
    {
        if (Sniff(path) != "zip")
            return Sniff(path) == "npy" ? DatasetKind.Arrays : DatasetKind.Table;
        using var zip = GuardedZip.Open(path, limits ?? new());
        if (zip.Files.Count > 0 && zip.Files.All(f => f.FullName.EndsWith(".npy", StringComparison.Ordinal)))
            return DatasetKind.Arrays;
        return TableEntries(zip).Count > 0 ? DatasetKind.Table : DatasetKind.Images;
    }

    /// <summary>Says what is in it.</summary>
    /// <exception cref="ProblemException">Whatever is wrong with it, with its own code.</exception>
    public static DatasetCard Inspect(string path, DatasetLimits? limits = null)
    {
        switch (KindOf(path, limits))
        {
            case DatasetKind.Table:
                return TableCard.Of(ReadTable(path, limits));
            case DatasetKind.Arrays:
                return ArrayCard.Of(ReadArrays(path, limits));
            default:
                using (var archive = DatasetArchive.Open(path, limits))
                    return ImageCard.Of(archive);
        }
    }

    /// <summary>Reads a table.</summary>
    public static TableData ReadTable(string path, DatasetLimits? limits = null)
    {
        var kind = Sniff(path);
        if (kind != "zip")
        {
            using var file = File.OpenRead(path);
            return Join(kind, [("train", Read(file, kind, "the upload"))]);
        }

        using var zip = GuardedZip.Open(path, limits ?? new());
        var parts = new List<(string Split, (string[] Names, List<string?>[] Columns) Part)>();
        foreach (var entry in TableEntries(zip))
        {
            using var content = GuardedZip.Read(entry);
            var format = Format(entry.FullName);
            if (format == "parquet")
            {
                // Parquet is read from its end.
                using var whole = new MemoryStream(zip.ReadAll(entry));
                parts.Add((SplitOf(entry), Read(whole, format, entry.FullName)));
            }
            else
            {
                parts.Add((SplitOf(entry), Read(content, format, entry.FullName)));
            }
        }

        return Join(Format(TableEntries(zip)[0].FullName), [.. parts.OrderBy(p => p.Split switch { "train" => 0, "test" => 1, _ => 2 })]);
    }

    /// <summary>Reads arrays: <c>x</c> (or <c>inputs</c>, <c>images</c>, <c>data</c>) and <c>y</c> (or <c>labels</c>, <c>target</c>) of an .npz; of an .npy, whose last column is the target, all of it.</summary>
    public static ArrayData ReadArrays(string path, DatasetLimits? limits = null)
    {
        limits ??= new();
        if (Sniff(path) == "npy")
        {
            using var file = File.OpenRead(path);
            return new("npy", NumpyArray.Read(file, "the upload", limits.MaxUnpackedBytes), null);
        }

        using var zip = GuardedZip.Open(path, limits);
        var inputs = Entry(zip, InputNames) ?? throw Unnamed(zip, "the inputs", InputNames);
        var targets = Entry(zip, TargetNames);
        return new("npz", Array(inputs, limits), targets is null ? null : Array(targets, limits));
    }

    /// <summary>Which array of an .npz holds the inputs.</summary>
    /// <exception cref="ProblemException">None of them has a name that says so.</exception>
    public static string InputsName(string path, DatasetLimits? limits = null)
    {
        using var zip = GuardedZip.Open(path, limits ?? new());
        return Path.GetFileNameWithoutExtension((Entry(zip, InputNames) ?? throw Unnamed(zip, "the inputs", InputNames)).FullName);
    }

    private static (string[] Names, List<string?>[] Columns) Read(Stream content, string format, string name)
    {
        if (format == "parquet")
            return ParquetColumns.ReadAsync(content, name).GetAwaiter().GetResult();
        using var text = new StreamReader(content, new UTF8Encoding(false, throwOnInvalidBytes: true), detectEncodingFromByteOrderMarks: true);
        try
        {
            return format == "jsonl" ? JsonLinesTable.Read(text, name) : CsvTable.Read(text, name);
        }
        catch (DecoderFallbackException e)
        {
            throw new ProblemException(Problem.Create(ProblemCodes.DatasetFormatUnknown, $"The file '{name}' is in no known data set format: it is no zip, Parquet or NumPy file, and not UTF-8 text (CSV or JSON Lines) either.", ("entry", name)), e);
        }
    }

    private static TableData Join(string format, IReadOnlyList<(string Split, (string[] Names, List<string?>[] Columns) Part)> parts)
    {
        var names = parts[0].Part.Names;
        // One line without a delimiter is some text, not a table without rows.
        if (format == "csv" && names.Length == 1 && parts.All(p => p.Part.Columns[0].Count == 0))
            throw new ProblemException(ProblemCodes.DatasetFormatUnknown, "The upload is in no known data set format: it is one line of text. Known are zips of images, CSV with a header and rows, Parquet, JSON Lines, and NumPy arrays.");
        if (names.Length == 0 || parts.Sum(p => p.Part.Columns.Length == 0 ? 0 : p.Part.Columns[0].Count) == 0)
            throw new ProblemException(ProblemCodes.DatasetEmpty, "The data set is empty: the table has no rows.");
        foreach (var (_, part) in parts)
        {
            if (System.Array.FindIndex(part.Names, string.IsNullOrEmpty) is >= 0 and var unnamed)
            {
                throw new ProblemException(
                    ProblemCodes.ColumnInvalid,
                    $"Column {unnamed + 1} of {part.Names.Length} has no name. Give every column a name of its own, or leave that one out (pandas writes such a column for its index; `index=False` leaves it out).", ("column", unnamed + 1));
            }
        }

        if (names.GroupBy(n => n, StringComparer.Ordinal).FirstOrDefault(g => g.Count() > 1) is { } twice)
            throw new ProblemException(ProblemCodes.ColumnInvalid, $"Two columns are called '{twice.Key}'. Give each a name of its own.", ("column", twice.Key));
        var columns = names.Select(_ => new List<string?>()).ToArray();
        var splits = new List<string>();
        foreach (var (split, part) in parts)
        {
            if (part.Names.Except(names, StringComparer.Ordinal).FirstOrDefault() is { } more)
                throw new ProblemException(ProblemCodes.ColumnInvalid, $"The files of the data set have different columns: '{more}' is not in the first.", ("column", more));
            var rows = part.Columns[0].Count;
            for (var c = 0; c < names.Length; c++)
            {
                var at = System.Array.IndexOf(part.Names, names[c]);
                columns[c].AddRange(at < 0 ? Enumerable.Repeat<string?>(null, rows) : part.Columns[at]);
            }

            splits.AddRange(Enumerable.Repeat(split, rows));
        }

        return new(format, [.. names.Select((name, c) => new TableField(name, [.. columns[c]]))], [.. splits]);
    }

    private static string Sniff(string path)
    {
        Span<byte> start = stackalloc byte[64];
        using var file = File.OpenRead(path);
        start = start[..file.ReadAtLeast(start, start.Length, throwOnEndOfStream: false)];
        if (start.StartsWith("PK"u8))
            return "zip";
        if (start.StartsWith("PAR1"u8))
            return "parquet";
        if (start.Length > 5 && start[0] == 0x93 && start[1..6].SequenceEqual("NUMPY"u8))
            return "npy";
        if (start.StartsWith((ReadOnlySpan<byte>)[0xEF, 0xBB, 0xBF]))
            start = start[3..];
        return start.TrimStart(" \t\r\n"u8).StartsWith("{"u8) ? "jsonl" : "csv";
    }

    private static string Format(string name) => name[name.LastIndexOf('.')..].ToLowerInvariant() switch
    {
        ".parquet" => "parquet",
        ".jsonl" or ".ndjson" => "jsonl",
        _ => "csv",
    };

    private static List<ZipArchiveEntry> TableEntries(GuardedZip zip) => [.. zip.Files.Where(f => Tables.Any(t => f.FullName.EndsWith(t, StringComparison.OrdinalIgnoreCase)))];

    private static string SplitOf(ZipArchiveEntry entry)
    {
        var name = entry.Name.ToLowerInvariant();
        return name.StartsWith("test", StringComparison.Ordinal) ? "test" : name.StartsWith("val", StringComparison.Ordinal) ? "val" : "train";
    }

    private static ZipArchiveEntry? Entry(GuardedZip zip, string[] names) =>
        names.Select(n => zip.Files.FirstOrDefault(f => string.Equals(f.FullName, n + ".npy", StringComparison.OrdinalIgnoreCase))).FirstOrDefault(f => f is not null);

    private static NumpyArray Array(ZipArchiveEntry entry, DatasetLimits limits)
    {
        using var content = GuardedZip.Read(entry);
        return NumpyArray.Read(content, entry.FullName, limits.MaxUnpackedBytes);
    }

    private static ProblemException Unnamed(GuardedZip zip, string what, string[] names) => new(
        ProblemCodes.DatasetFormatUnknown,
        $"The .npz file holds {string.Join(", ", zip.Files.Take(10).Select(f => $"'{f.Name[..^4]}'"))}, but none is called as {what} are: {string.Join(", ", names)}. Save it as numpy.savez('data.npz', x=…, y=…).",
        ("arrays", zip.Files.Take(100).Select(f => f.Name).ToArray()));
}
