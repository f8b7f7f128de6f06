using System.IO.Compression;
using System.Text;
using QueueMaaS.Contracts;
using QueueMaaS.Data.Archives;
using QueueMaaS.Data.Images;

namespace QueueMaaS.Data.Formats;

/// <summary>CIFAR-10's binary files: records of one label byte and 3 × 32 × 32 planar pixels.</summary>
internal sealed class CifarBinarySource : DatasetSource
{
    private const int PixelBytes = 3 * 32 * 32;
    private const int RecordBytes = PixelBytes + 1;
    private const int MaxNamesBytes = 64 * 1024;

    private static readonly string[] StandardNames = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];

    private readonly GuardedZip _zip;
    private readonly List<(ZipArchiveEntry Entry, int Record)> _records = [];

    public CifarBinarySource(GuardedZip zip)
    {
        _zip = zip;
        Classes = ReadNames(zip);
        var items = new List<DatasetItem>();
        foreach (var entry in zip.Files.Where(f => IsBatch(f.FullName)).OrderBy(f => SplitOf(f) == "train" ? 0 : 1).ThenBy(f => f.FullName, StringComparer.Ordinal))
            ReadLabels(entry, items);
        Items = items;
        if (items.Count == 0)
            throw new ProblemException(ProblemCodes.DatasetEmpty, "The data set is empty: its data_batch_*.bin files hold no records.");
    }

    public override string Format => "cifar-binary";

    public override IReadOnlyList<string> Classes { get; }

    public override IReadOnlyList<DatasetItem> Items { get; }

    public override UsualSize Usual { get; } = UsualSize.Only(new(32, 32, 3));

    public static bool Claims(GuardedZip zip) => zip.Files.Any(f => IsBatch(f.FullName));

    public static bool IsBatch(string path)
    {
        var name = FileName(path);
        return name.EndsWith(".bin", StringComparison.Ordinal) && (name.StartsWith("data_batch_", StringComparison.Ordinal) || name == "test_batch.bin");
    }

    public override IEnumerable<StoredItem> Read(IEnumerable<int> indexes)
    {
        using var reader = new ForwardReader(_zip);
        foreach (var index in indexes)
        {
            var (entry, record) = _records[index];
            var pixels = new byte[PixelBytes];
            reader.Read(entry, (long)record * RecordBytes + 1, pixels);
            yield return new(index, null, pixels, null);
        }
    }

    private static string SplitOf(ZipArchiveEntry entry) => FileName(entry.FullName) == "test_batch.bin" ? "test" : "train";

    private void ReadLabels(ZipArchiveEntry entry, List<DatasetItem> items)
    {
        if (entry.Length % RecordBytes != 0)
            throw Damaged($"The file '{entry.FullName}' has {entry.Length:N0} bytes, which is not a whole number of {RecordBytes}-byte CIFAR-10 records: it is cut short or of another kind.", entry.FullName);
        var name = FileName(entry.FullName);
        using var reader = new ForwardReader(_zip);
        Span<byte> label = stackalloc byte[1];
        var count = (int)(entry.Length / RecordBytes);
        for (var record = 0; record < count; record++)
        {
            reader.Read(entry, (long)record * RecordBytes, label);
            if (label[0] >= Classes.Count)
            {
                throw new ProblemException(
                    ProblemCodes.LabelOutOfRange,
                    $"Record {record} of '{entry.FullName}' has label {label[0]}, but there are {Classes.Count} classes (0 to {Classes.Count - 1}). The file is damaged, or is not CIFAR-10 in its binary version.",
                    ("item", $"{name}#{record}"), ("label", label[0]), ("classes", Classes.Count));
            }

            items.Add(new($"{name}#{record}", label[0], SplitOf(entry)));
            _records.Add((entry, record));
        }

        // The last record's pixels were not read yet: a file that ends before them must not be found out in the middle of a training.
        if (count > 0)
            reader.Read(entry, entry.Length - 1, label);
    }

    private static string[] ReadNames(GuardedZip zip)
    {
        var meta = zip.Files.FirstOrDefault(f => FileName(f.FullName) == "batches.meta.txt");
        if (meta is null)
            return StandardNames;
        if (meta.Length > MaxNamesBytes)
            throw Damaged($"The file '{meta.FullName}' has {meta.Length:N0} bytes; a list of class names has at most {MaxNamesBytes:N0}.", meta.FullName);
        using var reader = new StreamReader(GuardedZip.Read(meta), Encoding.UTF8);
        var names = reader.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        if (names.Length is 0 or > 256)
            throw Damaged($"The file '{meta.FullName}' names {names.Length} classes; 1 to 256 are possible.", meta.FullName);
        return names;
    }
}
