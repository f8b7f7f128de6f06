using System.Buffers.Binary;
using System.IO.Compression;
using QueueMaaS.Contracts;
using QueueMaaS.Data.Archives;
using QueueMaaS.Data.Images;

namespace QueueMaaS.Data.Formats;

/// <summary>MNIST's idx files: <c>*-images-idx3-ubyte</c> with its <c>*-labels-idx1-ubyte</c>, each perhaps as <c>.gz</c>. Names with <c>t10k</c> or <c>test</c> are the test split.</summary>
internal sealed class MnistIdxSource : DatasetSource
{
    private const int ImagesMagic = 0x0803;
    private const int LabelsMagic = 0x0801;
    private const int ImagesHeader = 16;
    private const int LabelsHeader = 8;
    private const int DigitClasses = 10;

    private readonly GuardedZip _zip;
    private readonly List<(ZipArchiveEntry Entry, int Record)> _records = [];

    public MnistIdxSource(GuardedZip zip)
    {
        _zip = zip;
        var items = new List<DatasetItem>();
        ImageSize? size = null;
        var images = zip.Files.Where(f => IsImages(f.FullName)).OrderBy(f => SplitOf(f) == "train" ? 0 : 1).ThenBy(f => f.FullName, StringComparer.Ordinal);
        foreach (var entry in images)
        {
            var found = ReadPair(entry, items);
            if (size is { } known && known != found)
                throw Damaged($"The images of '{entry.FullName}' are {found.Width} × {found.Height}, those of the other file {known.Width} × {known.Height}.", entry.FullName);
            size = found;
        }

        Items = items;
        if (items.Count == 0)
            throw new ProblemException(ProblemCodes.DatasetEmpty, "The data set is empty: its idx files hold no images.");
        Usual = UsualSize.Only(size!.Value);
        Classes = Enumerable.Range(0, DigitClasses).Select(i => $"{i}").ToList();
    }

    public override string Format => "mnist-idx";

    public override IReadOnlyList<string> Classes { get; }

    public override IReadOnlyList<DatasetItem> Items { get; }

    public override UsualSize Usual { get; }

    public static bool Claims(GuardedZip zip) => zip.Files.Any(f => IsImages(f.FullName));

    public static bool IsIdx(string path) => IsImages(path) || Plain(path) is var p && (p.EndsWith("-labels-idx1-ubyte", StringComparison.Ordinal) || p.EndsWith("-labels.idx1-ubyte", StringComparison.Ordinal));

    public override IEnumerable<StoredItem> Read(IEnumerable<int> indexes)
    {
        using var reader = new ForwardReader(_zip);
        var bytes = Size.Width * Size.Height;
        foreach (var index in indexes)
        {
            var (entry, record) = _records[index];
            var pixels = new byte[bytes];
            reader.Read(entry, ImagesHeader + (long)record * bytes, pixels);
            yield return new(index, null, pixels, null);
        }
    }

    private static bool IsImages(string path) => Plain(path) is var p && (p.EndsWith("-images-idx3-ubyte", StringComparison.Ordinal) || p.EndsWith("-images.idx3-ubyte", StringComparison.Ordinal));

    private static string Plain(string path) => path.EndsWith(".gz", StringComparison.OrdinalIgnoreCase) ? path[..^3] : path;

    private static string SplitOf(ZipArchiveEntry entry)
    {
        var name = FileName(entry.FullName);
        return name.Contains("t10k", StringComparison.Ordinal) || name.StartsWith("test", StringComparison.OrdinalIgnoreCase) ? "test" : "train";
    }

    private ImageSize ReadPair(ZipArchiveEntry images, List<DatasetItem> items)
    {
        var labelsName = Plain(images.FullName).Replace("-images", "-labels", StringComparison.Ordinal).Replace("idx3", "idx1", StringComparison.Ordinal);
        var labels = _zip.Files.FirstOrDefault(f => Plain(f.FullName) == labelsName)
            ?? throw Damaged($"The images '{images.FullName}' have no labels: '{labelsName}' (or with .gz) is missing.", images.FullName);

        using var reader = new ForwardReader(_zip);
        Span<byte> header = stackalloc byte[ImagesHeader];
        reader.Read(images, 0, header);
        var (magic, count) = (BinaryPrimitives.ReadInt32BigEndian(header), BinaryPrimitives.ReadInt32BigEndian(header[4..]));
        var (height, width) = (BinaryPrimitives.ReadInt32BigEndian(header[8..]), BinaryPrimitives.ReadInt32BigEndian(header[12..]));
        if (magic != ImagesMagic || count < 0 || width is < 1 or > 4096 || height is < 1 or > 4096)
            throw Damaged($"The file '{images.FullName}' does not begin as an idx file of images does.", images.FullName);
        if (count > _zip.Limits.MaxEntries - items.Count)
            throw GuardedZip.TooLarge($"Its file '{images.FullName}' declares {count:N0} images; at most {_zip.Limits.MaxEntries:N0} items are allowed.", ("entry", images.FullName));
        RequireLength(images, ImagesHeader + (long)count * width * height);

        reader.Read(labels, 0, header[..LabelsHeader]);
        var labelCount = BinaryPrimitives.ReadInt32BigEndian(header[4..]);
        if (BinaryPrimitives.ReadInt32BigEndian(header) != LabelsMagic)
            throw Damaged($"The file '{labels.FullName}' does not begin as an idx file of labels does.", labels.FullName);
        if (labelCount != count)
            throw Damaged($"'{images.FullName}' declares {count:N0} images, but '{labels.FullName}' {labelCount:N0} labels.", labels.FullName);
        RequireLength(labels, LabelsHeader + (long)count);
        var values = new byte[count];
        reader.Read(labels, LabelsHeader, values);

        var name = FileName(Plain(images.FullName));
        var split = SplitOf(images);
        for (var i = 0; i < count; i++)
        {
            if (values[i] >= DigitClasses)
            {
                throw new ProblemException(
                    ProblemCodes.LabelOutOfRange,
                    $"Item {i} of '{labels.FullName}' has label {values[i]}, but there are {DigitClasses} classes (0 to {DigitClasses - 1}).",
                    ("item", $"{name}#{i}"), ("label", values[i]), ("classes", DigitClasses));
            }

            items.Add(new($"{name}#{i}", values[i], split));
            _records.Add((images, i));
        }

        return new(width, height, 1);
    }

    /// <summary>Reads the file to its end, since only that tells how long a packed one is; no more than one byte over what it should have.</summary>
    private void RequireLength(ZipArchiveEntry entry, long expected)
    {
        if (expected > _zip.Limits.MaxUnpackedBytes)
            throw GuardedZip.TooLarge($"Its file '{entry.FullName}' declares {expected:N0} bytes of content; at most {_zip.Limits.MaxUnpackedBytes:N0} are allowed.", ("entry", entry.FullName));
        long length = 0;
        try
        {
            using var stream = ForwardReader.Open(entry, _zip.Limits.MaxUnpackedBytes);
            var buffer = new byte[64 * 1024];
            for (int read; length <= expected && (read = stream.Read(buffer)) > 0;)
                length += read;
        }
        catch (InvalidDataException e)
        {
            throw Damaged($"The file '{entry.FullName}' is damaged. Pack it again.", entry.FullName, e);
        }

        if (length != expected)
            throw Damaged($"The file '{entry.FullName}' has {(length > expected ? "more than" : $"{length:N0} instead of")} the {expected:N0} bytes that its header declares.", entry.FullName);
    }
}
