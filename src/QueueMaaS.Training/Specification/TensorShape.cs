namespace QueueMaaS.Training.Specification;

/// <summary>The size of what flows between layers, the batch axis left out: channels × height × width (images), channels × length or length × features (sequences), or features (rows).</summary>
public sealed record TensorShape(IReadOnlyList<int> Sizes)
{
    /// <summary>True for token ids, whole numbers that only an embedding or a mask can take.</summary>
    public bool IsTokens { get; init; }

    /// <summary>Channels × height × width.</summary>
    public static TensorShape Image(int channels, int height, int width) => new([channels, height, width]);

    /// <summary>A row of numbers.</summary>
    public static TensorShape Row(int features) => new([features]);

    /// <summary>Length × features, or channels × length.</summary>
    public static TensorShape Sequence(int first, int second) => new([first, second]);

    /// <summary>A text of so many token ids.</summary>
    public static TensorShape Tokens(int length) => new([length]) { IsTokens = true };

    /// <summary>True for channels × height × width.</summary>
    public bool IsImage => Sizes.Count == 3;

    /// <summary>True for two axes.</summary>
    public bool IsSequence => Sizes.Count == 2;

    /// <summary>True for one axis.</summary>
    public bool IsRow => Sizes.Count == 1;

    /// <summary>Numbers in all.</summary>
    public long Count => Sizes.Aggregate(1L, (a, b) => a * b);

    /// <summary>The sizes with a batch axis before them.</summary>
    public long[] WithBatch(long rows) => [rows, .. Sizes.Select(s => (long)s)];

    /// <summary>Whether both have the same sizes.</summary>
    public bool SameSizes(TensorShape other) => Sizes.SequenceEqual((other ?? throw new ArgumentNullException(nameof(other))).Sizes);

    /// <inheritdoc/>
    public override string ToString() => $"[{string.Join(", ", Sizes)}]";
}
