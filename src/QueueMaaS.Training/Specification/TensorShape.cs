namespace QueueMaaS.Training.Specification;

/// <summary>The size of what flows between layers, the batch axis left out: channels × height × width, or features.</summary>
public sealed record TensorShape(IReadOnlyList<int> Sizes)
{
    /// <summary>Channels × height × width.</summary>
    public static TensorShape Image(int channels, int height, int width) => new([channels, height, width]);

    /// <summary>A row of numbers.</summary>
    public static TensorShape Row(int features) => new([features]);

    /// <summary>True for channels × height × width.</summary>
    public bool IsImage => Sizes.Count == 3;

    /// <summary>Numbers in all.</summary>
    public long Count => Sizes.Aggregate(1L, (a, b) => a * b);

    /// <inheritdoc/>
    public override string ToString() => $"[{string.Join(", ", Sizes)}]";
}
