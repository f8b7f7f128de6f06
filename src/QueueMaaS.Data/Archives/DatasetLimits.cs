namespace QueueMaaS.Data.Archives;

/// <summary>What an uploaded data set may cost to unpack. Every limit is checked against what the archive declares and again against the bytes really read, since a zip can lie.</summary>
public sealed record DatasetLimits
{
    /// <summary>Most entries in the archive, folders included. Default 2,000,000.</summary>
    public int MaxEntries { get; init; } = 2_000_000;

    /// <summary>Most bytes that all entries together may unpack to. Default 8 GiB.</summary>
    public long MaxUnpackedBytes { get; init; } = 8L << 30;

    /// <summary>Most unpacked bytes per packed byte of one entry. Default 200: images hardly shrink and MNIST shrinks by 5.</summary>
    public int MaxRatio { get; init; } = 200;

    /// <summary>Entries that unpack to no more than this are not judged by their ratio: a small blank file packs extremely well. Default 1 MiB.</summary>
    public long RatioFreeBytes { get; init; } = 1L << 20;

    /// <summary>Most bytes of one encoded image. Default 64 MiB.</summary>
    public long MaxImageBytes { get; init; } = 64L << 20;

    /// <summary>Most bytes of decoded pixels held in memory at once. Default 2,147,483,591, the longest array there is.</summary>
    public long MaxPixelBytes { get; init; } = Array.MaxLength;
}
