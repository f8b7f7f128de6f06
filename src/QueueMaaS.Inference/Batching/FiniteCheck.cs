using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using QueueMaaS.Contracts;
using QueueMaaS.Inference.Tensors;

namespace QueueMaaS.Inference.Batching;

/// <summary>Looks for NaN and infinite numbers.</summary>
internal static class FiniteCheck
{
    /// <summary>Where the first number that is not finite stands, or -1.</summary>
    public static int FirstNonFinite(TensorBuffer tensor)
    {
        var bytes = tensor.Bytes.Span;
        return tensor.Datatype.Name switch
        {
            Datatypes.Fp32 => FirstNonFinite(MemoryMarshal.Cast<byte, float>(bytes)),
            Datatypes.Fp64 => FirstNonFinite(MemoryMarshal.Cast<byte, double>(bytes)),
            Datatypes.Fp16 => FirstNonFinite(MemoryMarshal.Cast<byte, Half>(bytes)),
            _ => -1,
        };
    }

    /// <summary>The first tensor with a number that is not finite, with its place; null where all are.</summary>
    public static (TensorBuffer Tensor, int At)? Find(IReadOnlyList<TensorBuffer> tensors)
    {
        foreach (var tensor in tensors)
        {
            if (FirstNonFinite(tensor) is >= 0 and var at)
                return (tensor, at);
        }

        return null;
    }

    // The sum of the magnitudes is finite only where all of them are. Vectorised, this costs less than the copy of the tensor; where it overflows, the numbers are looked at one by one.
    private static int FirstNonFinite(ReadOnlySpan<float> values)
    {
        if (float.IsFinite(TensorPrimitives.SumOfMagnitudes(values)))
            return -1;
        for (var i = 0; i < values.Length; i++)
        {
            if (!float.IsFinite(values[i]))
                return i;
        }

        return -1;
    }

    private static int FirstNonFinite(ReadOnlySpan<double> values)
    {
        if (double.IsFinite(TensorPrimitives.SumOfMagnitudes(values)))
            return -1;
        for (var i = 0; i < values.Length; i++)
        {
            if (!double.IsFinite(values[i]))
                return i;
        }

        return -1;
    }

    private static int FirstNonFinite(ReadOnlySpan<Half> values)
    {
        for (var i = 0; i < values.Length; i++)
        {
            if (!Half.IsFinite(values[i]))
                return i;
        }

        return -1;
    }
}
