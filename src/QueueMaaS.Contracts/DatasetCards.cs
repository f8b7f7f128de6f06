namespace QueueMaaS.Contracts;

/// <summary>What is in a data set.</summary>
/// <param name="Format"><c>image-folder</c>, <c>cifar-binary</c>, <c>mnist-idx</c>, <c>csv</c>, <c>parquet</c>, <c>jsonl</c>, <c>npy</c> or <c>npz</c>.</param>
/// <param name="Rows">Items in all splits.</param>
/// <param name="Classes">The classes with their counts, in label order. For tables: the values of the probable target (<c>label</c>, <c>target</c>, <c>class</c>, <c>y</c>, else the last column), where those are few.</param>
/// <param name="Splits">Items by split, such as <c>train</c> and <c>test</c>.</param>
/// <param name="Width">Images: width of the first in pixels; larger or smaller ones are resized to it. Else 0.</param>
/// <param name="Height">Images: height of the first in pixels. Else 0.</param>
/// <param name="Channels">Images: 3 (RGB) or 1 (grey). Else 0.</param>
public sealed record DatasetCard(
    string Format, int Rows, IReadOnlyList<ClassCount> Classes, IReadOnlyDictionary<string, int> Splits, int Width, int Height, int Channels)
{
    /// <summary>Items of the smallest class for each item of the largest.</summary>
    public double? Balance { get; init; }
    /// <summary>Images and arrays: the axes of one item.</summary>
    public IReadOnlyList<int>? Shape { get; init; }
    /// <summary>Tables and texts: the columns.</summary>
    public IReadOnlyList<ColumnCard>? Columns { get; init; }
    /// <summary>Images: one of each of the first classes, 48 × 48.</summary>
    public IReadOnlyList<Thumbnail>? Thumbnails { get; init; }
}

/// <summary>A class and how many items it has.</summary>
public sealed record ClassCount(string Name, int Count);

/// <summary>What is in a column.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Kind">What its values seem to be.</param>
/// <param name="Missing">Rows without a value.</param>
/// <param name="Distinct">Different values, counted up to 10,001.</param>
public sealed record ColumnCard(string Name, ColumnKind Kind, int Missing, int Distinct)
{
    /// <summary>Numbers: the least.</summary>
    public double? Least { get; init; }
    /// <summary>Numbers: the greatest.</summary>
    public double? Greatest { get; init; }
    /// <summary>Numbers: the mean.</summary>
    public double? Mean { get; init; }
    /// <summary>Some of its values.</summary>
    public IReadOnlyList<string>? Examples { get; init; }
    /// <summary>What is wrong with it: a text among numbers, with its row.</summary>
    public string? Fault { get; init; }
}

/// <summary>A picture of an item.</summary>
/// <param name="Name">The item.</param>
/// <param name="Label">Its class.</param>
/// <param name="Image">A data URL with a PNG.</param>
public sealed record Thumbnail(string Name, string Label, string Image);
