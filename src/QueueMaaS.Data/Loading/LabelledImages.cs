using QueueMaaS.Contracts;

namespace QueueMaaS.Data.Loading;

/// <summary>Decoded images of one size in one block of memory, with their labels.</summary>
public sealed record LabelledImages
{
    /// <summary>N × channels × height × width bytes, 0 to 255.</summary>
    public required byte[] Pixels { get; init; }
    /// <summary>The class index of each image.</summary>
    public required int[] Labels { get; init; }
    /// <summary>The name of each image in its archive.</summary>
    public required string[] Names { get; init; }
    /// <summary>The split of each image: <c>train</c>, <c>test</c> or <c>val</c>.</summary>
    public required string[] Splits { get; init; }
    /// <summary>Class names in label order.</summary>
    public required IReadOnlyList<string> Classes { get; init; }
    /// <summary>Pixels.</summary>
    public required int Width { get; init; }
    /// <summary>Pixels.</summary>
    public required int Height { get; init; }
    /// <summary>3 (RGB) or 1 (grey).</summary>
    public required int Channels { get; init; }
    /// <summary>Images that could not be read; they are not among the others.</summary>
    public required CorruptItems Corrupt { get; init; }
    /// <summary>What sizes the files have, where nobody said which to take and they differ.</summary>
    public MixedSizes? Sizes { get; init; }

    /// <summary>How many images there are.</summary>
    public int Count => Labels.Length;

    /// <summary>Bytes of one image.</summary>
    public int ImageBytes => Width * Height * Channels;

    /// <summary>The pixels of image <paramref name="index"/>, channels × height × width.</summary>
    public ReadOnlySpan<byte> this[int index] => Pixels.AsSpan(checked(index * ImageBytes), ImageBytes);
}

/// <summary>What to load and how.</summary>
public sealed record DatasetLoadOptions
{
    /// <summary><c>train</c>, <c>test</c>, <c>val</c> or <c>all</c>. Default <c>all</c>.</summary>
    public string? Split { get; init; }
    /// <summary>At most this many images, drawn evenly over the classes (and in proportion over the splits). Default: all.</summary>
    public int? Limit { get; init; }
    /// <summary>Width to resize to, in pixels. Default: the usual one of the data set's images.</summary>
    public int? Width { get; init; }
    /// <summary>Height to resize to, in pixels. Default: the usual one of the data set's images.</summary>
    public int? Height { get; init; }
    /// <summary>3 (RGB) or 1 (grey). Default: the usual one of the data set's images.</summary>
    public int? Channels { get; init; }
    /// <summary>The share of unreadable images up to which loading goes on, 0 to 1. Default 0.01.</summary>
    public double MaxCorruptShare { get; init; } = 0.01;
    /// <summary>Seeds the draw of <see cref="Limit"/>. Default 0.</summary>
    public long Seed { get; init; }
}

/// <summary>How far a loading is.</summary>
/// <param name="Done">Images decoded, unreadable ones counted.</param>
/// <param name="Total">Images to decode.</param>
public readonly record struct DatasetLoadProgress(int Done, int Total);

/// <summary>One item read for itself. Exactly one of <see cref="Pixels"/> and <see cref="Error"/> is given.</summary>
/// <param name="Name">Its name in the archive.</param>
/// <param name="Label">Its class index.</param>
/// <param name="LabelName">Its class.</param>
/// <param name="Split">Its split.</param>
/// <param name="Pixels">Channels × height × width bytes, 0 to 255.</param>
/// <param name="Error">Why it cannot be read.</param>
public sealed record DecodedItem(string Name, int Label, string LabelName, string Split, byte[]? Pixels, Problem? Error);

/// <summary>One item read for itself and made ready. Exactly one of <see cref="Value"/> and <see cref="Error"/> is given.</summary>
/// <param name="Name">Its name in the archive.</param>
/// <param name="LabelName">Its class.</param>
/// <param name="Value">What was made of its image.</param>
/// <param name="Error">Why it cannot be read.</param>
public sealed record PreparedItem<T>(string Name, string LabelName, T? Value, Problem? Error)
    where T : class;
