using System.IO.Compression;
using QueueMaaS.Contracts;
using QueueMaaS.Data.Archives;
using QueueMaaS.Data.Images;

namespace QueueMaaS.Data.Formats;

/// <summary><c>train/&lt;class&gt;/*.jpg</c> and perhaps <c>test/</c> or <c>val/</c>; or <c>test/&lt;class&gt;/*.jpg</c> alone; or <c>&lt;class&gt;/*.jpg</c> alone; perhaps all inside one more folder. Classes are in ordinal order of their names.</summary>
internal sealed class ImageFolderSource : DatasetSource
{
    /// <summary>How many images, spread over the data set, are measured for its size; where none of them can be read, it is given up as unreadable.</summary>
    private const int Measured = 200;

    /// <summary>Bytes of a file that nearly always hold its header.</summary>
    private const int HeaderBytes = 64 * 1024;

    private static readonly string[] Extensions = [".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif"];

    private readonly GuardedZip _zip;
    private readonly ZipArchiveEntry[] _entries;
    private readonly Lazy<UsualSize> _size;

    public ImageFolderSource(GuardedZip zip)
    {
        _zip = zip;
        var images = zip.Files.Where(f => IsImage(f.FullName)).Select(f => (Entry: f, Parts: f.FullName.Split('/'))).ToList();
        var depth = WrappingFolders(images.ConvertAll(i => i.Parts));
        var withSplits = images.Exists(i => i.Parts.Length - depth >= 3 && SplitOf(i.Parts[depth]) == "train") || IsOnlyTest(images.ConvertAll(i => i.Parts), depth);
        var classDepth = withSplits ? depth + 1 : depth;

        // An image that lies in no class folder (a preview beside the folders) is not an item.
        var found = images
            .Where(i => i.Parts.Length > classDepth + 1 && (!withSplits || SplitOf(i.Parts[depth]) is not null))
            .Select(i => (i.Entry, Class: i.Parts[classDepth], Split: withSplits ? SplitOf(i.Parts[depth])! : "train"))
            .ToList();
        if (found.Count == 0)
            throw Nothing(zip);

        var classes = found.Select(f => f.Class).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal).ToList();
        var labels = classes.Select((name, index) => (name, index)).ToDictionary(c => c.name, c => c.index, StringComparer.Ordinal);
        var ordered = found.OrderBy(f => SplitOrder(f.Split)).ThenBy(f => labels[f.Class]).ThenBy(f => f.Entry.FullName, StringComparer.Ordinal).ToList();
        Classes = classes;
        _entries = ordered.Select(f => f.Entry).ToArray();
        Items = ordered.ConvertAll(f => new DatasetItem(f.Entry.FullName, labels[f.Class], f.Split));
        _size = new(Measure);
    }

    public override string Format => "image-folder";

    public override IReadOnlyList<string> Classes { get; }

    public override IReadOnlyList<DatasetItem> Items { get; }

    public override UsualSize Usual => _size.Value;

    public static bool IsImage(string path) => Extensions.Any(e => path.EndsWith(e, StringComparison.OrdinalIgnoreCase));

    public override IEnumerable<StoredItem> Read(IEnumerable<int> indexes)
    {
        foreach (var index in indexes)
        {
            StoredItem item;
            try
            {
                item = new(index, _zip.ReadAll(_entries[index]), null, null);
            }
            catch (Exception e) when (e is InvalidDataException or EndOfStreamException or NotSupportedException)
            {
                item = new(index, null, null, Problem.Create(ProblemCodes.ImageUnreadable, $"The image '{_entries[index].FullName}' cannot be unpacked: its part of the archive is damaged.", ("item", _entries[index].FullName)));
            }
            catch (ProblemException e) when (e.Problem.Code == ProblemCodes.ImageUnreadable)
            {
                item = new(index, null, null, e.Problem);
            }

            yield return item;
        }
    }

    private static string? SplitOf(string folder) => folder.ToLowerInvariant() switch
    {
        "train" or "training" => "train",
        "test" or "testing" => "test",
        "val" or "valid" or "validation" => "val",
        _ => null,
    };

    /// <summary>New data to evaluate on has no folder to train on.</summary>
    private static bool IsOnlyTest(List<string[]> paths, int depth) => paths.Count > 0 && paths.TrueForAll(p => p.Length - depth >= 3 && SplitOf(p[depth]) == "test");

    private static int SplitOrder(string split) => split switch { "train" => 0, "test" => 1, _ => 2 };

    /// <summary>Folders around everything that are neither a split nor a class.</summary>
    private static int WrappingFolders(List<string[]> paths)
    {
        var depth = 0;
        while (paths.Count > 0 && paths.TrueForAll(p => p.Length - depth >= 2 && p[depth] == paths[0][depth])
            && SplitOf(paths[0][depth]) is null && paths.Exists(p => p.Length - depth >= 3))
        {
            depth++;
        }

        return depth;
    }

    private UsualSize Measure()
    {
        Problem? first = null;
        var count = Math.Min(Measured, Items.Count);
        var sizes = new List<ImageSize>(count);
        for (var i = 0; i < count; i++)
        {
            try
            {
                sizes.Add(Measure(_entries[(int)((long)i * Items.Count / count)]));
            }
            catch (ProblemException e)
            {
                first ??= e.Problem;
            }
            catch (Exception e) when (e is InvalidDataException or EndOfStreamException or NotSupportedException)
            {
                first ??= Problem.Create(ProblemCodes.ImageUnreadable, "Its part of the archive is damaged.");
            }
        }

        if (sizes.Count > 0)
            return UsualSize.Of(sizes);
        throw new ProblemException(
            ProblemCodes.DatasetCorrupt,
            $"None of the {(count < Items.Count ? $"{count} images looked at, spread over the data set's {Items.Count:N0}," : $"{count} images of the data set")} can be read; the first is '{Items[0].Name}'. {first?.Message}",
            ("item", Items[0].Name));
    }

    /// <summary>By the header where it suffices. PNG may say behind its pixels how it is turned, so it is read whole.</summary>
    private ImageSize Measure(ZipArchiveEntry entry)
    {
        if (entry.Length > HeaderBytes && !entry.FullName.EndsWith(".png", StringComparison.OrdinalIgnoreCase))
        {
            try
            {
                var header = new byte[HeaderBytes];
                using var stream = GuardedZip.Read(entry);
                return ImageDecoder.Measure(header.AsSpan(0, stream.ReadAtLeast(header, header.Length, throwOnEndOfStream: false)));
            }
            catch (ProblemException e) when (e.Problem.Code == ProblemCodes.ImageUnreadable)
            {
                // Its header is longer than most, or it is none.
            }
        }

        return ImageDecoder.Measure(_zip.ReadAll(entry));
    }

    private static ProblemException Nothing(GuardedZip zip)
    {
        if (zip.Files.Count == 0)
            return new(ProblemCodes.DatasetEmpty, "The data set is empty: the archive holds no files. Pack one folder of images per class.");
        if (zip.Files.All(f => FileName(f.FullName) is [] or ['.', ..]))
            return new(ProblemCodes.DatasetEmpty, "The data set is empty: the archive holds no images. Pack one folder of images per class.");
        return new(
            ProblemCodes.DatasetFormatUnknown,
            $"The archive is in no known data set format; it holds '{zip.Files[0].FullName}'{(zip.Files.Count > 1 ? $" and {zip.Files.Count - 1:N0} more files" : "")}. "
            + "Known are image folders (train/<class>/*.jpg or <class>/*.jpg), CIFAR-10 binary (data_batch_1.bin …) and MNIST idx (train-images-idx3-ubyte.gz …).",
            ("firstEntry", zip.Files[0].FullName), ("files", zip.Files.Count));
    }
}
