using QueueMaaS.Contracts;
using QueueMaaS.Data.Archives;
using QueueMaaS.Data.Images;

namespace QueueMaaS.Data.Formats;

/// <summary>One item of a data set: its name in the archive, its class index and its split (<c>train</c>, <c>test</c> or <c>val</c>).</summary>
public sealed record DatasetItem(string Name, int Label, string Split);

/// <summary>The content of one item as it is stored: an encoded image, or planar pixels of the size of the source.</summary>
internal readonly record struct StoredItem(int Index, byte[]? Encoded, byte[]? Planar, Problem? Error);

/// <summary>A data set in one of the formats: what is in it, and its items by index in a stable order.</summary>
internal abstract class DatasetSource
{
    public abstract string Format { get; }

    public abstract IReadOnlyList<string> Classes { get; }

    /// <summary>All items: train first, then test, then val; within a split in the order of the archive's files.</summary>
    public abstract IReadOnlyList<DatasetItem> Items { get; }

    /// <summary>The size that the images have, or most of them.</summary>
    public ImageSize Size => Usual.Size;

    /// <summary>The size that the images have, or most of them, and what it was judged by.</summary>
    public abstract UsualSize Usual { get; }

    /// <summary>Reads items one after the other; <paramref name="indexes"/> ascend. An unreadable item is given with its error.</summary>
    public abstract IEnumerable<StoredItem> Read(IEnumerable<int> indexes);

    /// <summary>Finds out the format from the names of the entries.</summary>
    public static DatasetSource Detect(GuardedZip zip)
    {
        if (CifarBinarySource.Claims(zip))
            return new CifarBinarySource(zip);
        if (MnistIdxSource.Claims(zip))
            return new MnistIdxSource(zip);
        return new ImageFolderSource(zip);
    }

    /// <summary>The part after the last slash.</summary>
    protected static string FileName(string path) => path[(path.LastIndexOf('/') + 1)..];

    protected static ProblemException Damaged(string message, string entry, Exception? inner = null) =>
        new(Problem.Create(ProblemCodes.ArchiveInvalid, message, ("entry", entry)), inner);
}
