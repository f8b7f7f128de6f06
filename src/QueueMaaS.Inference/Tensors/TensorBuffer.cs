namespace QueueMaaS.Inference.Tensors;

/// <summary>
/// A tensor in managed memory: row-major values in <see cref="Bytes"/> (little-endian, <see cref="TensorDatatype.Size"/> bytes each), or strings in <see cref="Texts"/>.
/// Keeping bytes rather than typed arrays lets rows of every datatype be gathered and scattered by one copy.
/// </summary>
public sealed class TensorBuffer
{
    private TensorBuffer(string name, TensorDatatype datatype, long[] shape, ReadOnlyMemory<byte> bytes, ReadOnlyMemory<string> texts)
    {
        Name = name;
        Datatype = datatype;
        Shape = shape;
        Bytes = bytes;
        Texts = texts;
    }

    /// <summary>The input's or output's name.</summary>
    public string Name { get; }

    /// <summary>What its elements are.</summary>
    public TensorDatatype Datatype { get; }

    /// <summary>Its size along each axis; empty for a scalar.</summary>
    public long[] Shape { get; }

    /// <summary>The values; empty for <c>BYTES</c>.</summary>
    public ReadOnlyMemory<byte> Bytes { get; }

    /// <summary>The values of a <c>BYTES</c> tensor; else empty.</summary>
    public ReadOnlyMemory<string> Texts { get; }

    /// <summary>Number of elements.</summary>
    public int Count => Datatype.IsText ? Texts.Length : Bytes.Length / Datatype.Size;

    /// <summary>About how many bytes its values hold in memory.</summary>
    public long MemoryBytes
    {
        get
        {
            // A string has a header beside its two bytes a character.
            var bytes = (long)Bytes.Length;
            foreach (var text in Texts.Span)
                bytes += 24 + (2L * text.Length);
            return bytes;
        }
    }

    /// <summary>A tensor of numbers or booleans.</summary>
    /// <exception cref="ArgumentException">The number of bytes does not fit the shape.</exception>
    public static TensorBuffer OfBytes(string name, TensorDatatype datatype, long[] shape, ReadOnlyMemory<byte> bytes)
    {
        ArgumentNullException.ThrowIfNull(datatype);
        ArgumentNullException.ThrowIfNull(shape);
        if (datatype.IsText || bytes.Length != ElementCount(shape) * datatype.Size)
            throw new ArgumentException($"{bytes.Length} bytes are not a {datatype.Name} tensor of shape {Describe(shape)}.", nameof(bytes));
        return new(name, datatype, shape, bytes, default);
    }

    /// <summary>A tensor of strings.</summary>
    /// <exception cref="ArgumentException">The number of strings does not fit the shape.</exception>
    public static TensorBuffer OfTexts(string name, long[] shape, ReadOnlyMemory<string> texts)
    {
        ArgumentNullException.ThrowIfNull(shape);
        if (texts.Length != ElementCount(shape))
            throw new ArgumentException($"{texts.Length} strings are not a tensor of shape {Describe(shape)}.", nameof(texts));
        return new(name, TensorDatatype.Find(Contracts.Datatypes.Bytes)!, shape, default, texts);
    }

    /// <summary>Rows <paramref name="first"/> to <paramref name="first"/> + <paramref name="rows"/> along the first axis, without a copy.</summary>
    public TensorBuffer Rows(int first, int rows)
    {
        var total = (int)Shape[0];
        if (first == 0 && rows == total)
            return this;
        ArgumentOutOfRangeException.ThrowIfNegative(first);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(first + rows, total, nameof(rows));
        return Slice(first, rows, ShapeOf(rows));
    }

    /// <summary>This tensor's shape with another number of rows.</summary>
    internal long[] ShapeOf(int rows)
    {
        var shape = (long[])Shape.Clone();
        shape[0] = rows;
        return shape;
    }

    /// <summary>As <see cref="Rows"/>, with a shape that slices of the same size may share.</summary>
    internal TensorBuffer Slice(int first, int rows, long[] shape)
    {
        var total = (int)Shape[0];
        var perRow = total == 0 ? 0 : (Datatype.IsText ? Texts.Length : Bytes.Length) / total;
        return Datatype.IsText
            ? new(Name, Datatype, shape, default, Texts.Slice(first * perRow, rows * perRow))
            : new(Name, Datatype, shape, Bytes.Slice(first * perRow, rows * perRow), default);
    }

    /// <summary>Puts the rows of <paramref name="parts"/> one after the other. All have the same name, datatype and sizes after the first axis.</summary>
    public static TensorBuffer Concatenate(IReadOnlyList<TensorBuffer> parts)
    {
        ArgumentNullException.ThrowIfNull(parts);
        var head = parts[0];
        if (parts.Count == 1)
            return head;
        if (parts.Any(p => !p.Shape.AsSpan(1).SequenceEqual(head.Shape.AsSpan(1))))
            throw new ArgumentException("The parts differ in their sizes after the first axis.", nameof(parts));
        var shape = (long[])head.Shape.Clone();
        shape[0] = parts.Sum(p => p.Shape[0]);
        if (head.Datatype.IsText)
            return OfTexts(head.Name, shape, parts.SelectMany(p => p.Texts.ToArray()).ToArray());
        var bytes = new byte[parts.Sum(p => p.Bytes.Length)];
        var at = 0;
        foreach (var part in parts)
        {
            part.Bytes.CopyTo(bytes.AsMemory(at));
            at += part.Bytes.Length;
        }

        return OfBytes(head.Name, head.Datatype, shape, bytes);
    }

    /// <summary>A shape as people write it: <c>[2, 3]</c>, free axes as <c>any</c>.</summary>
    public static string Describe(IEnumerable<long> shape) => $"[{string.Join(", ", shape.Select(s => s < 0 ? "any" : s.ToString()))}]";

    private static long ElementCount(ReadOnlySpan<long> shape)
    {
        // A zero further on would hide an overflow of the sizes before it.
        if (shape.Contains(0L))
            return 0;
        var count = 1L;
        foreach (var size in shape)
            count = checked(count * size);
        return count;
    }
}
