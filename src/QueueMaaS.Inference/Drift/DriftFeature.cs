using System.Runtime.InteropServices;
using QueueMaaS.Contracts;
using QueueMaaS.Inference.Tensors;

namespace QueueMaaS.Inference.Drift;

/// <summary>A number or category of what a version takes or gives, read from the tensors as they are: no request is read twice for it.</summary>
/// <param name="name">The feature's name.</param>
/// <param name="tensor">Which of the inputs or outputs.</param>
/// <param name="ofAnswer">True: of the outputs.</param>
internal abstract class DriftFeature(string name, int tensor, bool ofAnswer)
{
    public string Name => name;

    /// <summary>Whether it is of what the model gave.</summary>
    public bool OfAnswer => ofAnswer;

    /// <summary>The categories; null for numbers.</summary>
    public virtual IReadOnlyList<string>? Categories => null;

    /// <summary>The number, or the category's index; NaN, or below 0, where there is none.</summary>
    public double Read(IReadOnlyList<TensorBuffer> inputs, IReadOnlyList<TensorBuffer> outputs, int row)
    {
        var from = ofAnswer ? outputs : inputs;
        if (tensor >= from.Count)
            return double.NaN;
        var buffer = from[tensor];
        var rows = buffer.Shape.Length == 0 ? 1 : (int)buffer.Shape[0];
        if (buffer.Datatype.IsText || rows == 0 || row >= rows)
            return double.NaN;
        var width = buffer.Count / rows;
        return Read(new(buffer, row * width, width));
    }

    protected abstract double Read(RowNumbers row);
}

/// <summary>The numbers of one row of a tensor.</summary>
internal readonly struct RowNumbers(TensorBuffer buffer, int start, int count)
{
    public int Count => count;

    public double this[int at] => at >= count ? double.NaN : buffer.Datatype.Name switch
    {
        Datatypes.Fp32 => MemoryMarshal.Cast<byte, float>(buffer.Bytes.Span)[start + at],
        Datatypes.Fp64 => MemoryMarshal.Cast<byte, double>(buffer.Bytes.Span)[start + at],
        Datatypes.Fp16 => (double)MemoryMarshal.Cast<byte, Half>(buffer.Bytes.Span)[start + at],
        Datatypes.Int64 => MemoryMarshal.Cast<byte, long>(buffer.Bytes.Span)[start + at],
        Datatypes.Int32 => MemoryMarshal.Cast<byte, int>(buffer.Bytes.Span)[start + at],
        Datatypes.Int16 => MemoryMarshal.Cast<byte, short>(buffer.Bytes.Span)[start + at],
        Datatypes.Int8 => (sbyte)buffer.Bytes.Span[start + at],
        Datatypes.UInt64 => MemoryMarshal.Cast<byte, ulong>(buffer.Bytes.Span)[start + at],
        Datatypes.UInt32 => MemoryMarshal.Cast<byte, uint>(buffer.Bytes.Span)[start + at],
        Datatypes.UInt16 => MemoryMarshal.Cast<byte, ushort>(buffer.Bytes.Span)[start + at],
        _ => buffer.Bytes.Span[start + at],
    };
}

/// <summary>A single number of a row.</summary>
internal sealed class NumberAt(string name, int tensor, bool ofAnswer, int at) : DriftFeature(name, tensor, ofAnswer)
{
    protected override double Read(RowNumbers row) => row[at];
}

/// <summary>A category that stands as its index.</summary>
internal sealed class IndexAt(string name, int tensor, int at, IReadOnlyList<string> categories) : DriftFeature(name, tensor, ofAnswer: false)
{
    public override IReadOnlyList<string> Categories => categories;

    protected override double Read(RowNumbers row) => row[at];
}

/// <summary>A category that stands as a 1 among zeros.</summary>
internal sealed class OneHotAt(string name, int tensor, int from, IReadOnlyList<string> categories) : DriftFeature(name, tensor, ofAnswer: false)
{
    public override IReadOnlyList<string> Categories => categories;

    protected override double Read(RowNumbers row)
    {
        for (var category = 0; category < categories.Count; category++)
        {
            if (row[from + category] > 0.5)
                return category;
        }

        return -1;
    }
}

/// <summary>The likeliest label.</summary>
internal sealed class LikeliestLabel(string name, int tensor, IReadOnlyList<string> labels) : DriftFeature(name, tensor, ofAnswer: true)
{
    public override IReadOnlyList<string> Categories => labels;

    protected override double Read(RowNumbers row)
    {
        var best = -1;
        for (var label = 0; label < Math.Min(row.Count, labels.Count); label++)
        {
            if (best < 0 || row[label] > row[best])
                best = label;
        }

        return best;
    }
}

/// <summary>By how much the likeliest label is ahead of the next: how sure the model is.</summary>
internal sealed class Margin(string name, int tensor) : DriftFeature(name, tensor, ofAnswer: true)
{
    protected override double Read(RowNumbers row)
    {
        var (first, second) = (double.NegativeInfinity, double.NegativeInfinity);
        for (var at = 0; at < row.Count; at++)
        {
            var value = row[at];
            if (value > first)
                (first, second) = (value, first);
            else if (value > second)
                second = value;
        }

        return row.Count < 2 ? double.NaN : first - second;
    }
}

/// <summary>What of many numbers is told.</summary>
internal enum RowMoment
{
    Mean,
    Deviation,
    /// <summary>How many are not zero.</summary>
    Filled,
    /// <summary>The mean of ln(1 + number) of those that are not zero: of token ids, how rare the words are.</summary>
    MeanLogarithm,
}

/// <summary>A moment of many numbers of a row: those at <c>start</c>, <c>start + stride</c> and so on.</summary>
internal sealed class MomentOf(string name, int tensor, bool ofAnswer, RowMoment moment, Func<int, (int Start, int Count, int Stride)>? part = null) : DriftFeature(name, tensor, ofAnswer)
{
    protected override double Read(RowNumbers row)
    {
        var (start, count, stride) = part?.Invoke(row.Count) ?? (0, row.Count, 1);
        if (count == 0)
            return double.NaN;
        var (sum, squares, filled, logarithms) = (0.0, 0.0, 0, 0.0);
        for (var i = 0; i < count; i++)
        {
            var value = row[start + (i * stride)];
            sum += value;
            squares += value * value;
            if (value != 0)
            {
                filled++;
                logarithms += Math.Log(1 + Math.Abs(value));
            }
        }

        var mean = sum / count;
        return moment switch
        {
            RowMoment.Mean => mean,
            RowMoment.Deviation => Math.Sqrt(Math.Max(0, (squares / count) - (mean * mean))),
            RowMoment.Filled => filled,
            _ => filled == 0 ? double.NaN : logarithms / filled,
        };
    }
}
