using System.Runtime.InteropServices;
using QueueMaaS.Contracts;
using QueueMaaS.Inference.Tensors;

namespace QueueMaaS.Inference.Models;

/// <summary>How far two answers to the same row are apart.</summary>
internal static class TensorDifference
{
    // Kernels differ with the batch size and so does the order of additions: single precision then agrees to five or six digits, half precision to three.
    private const double SingleTolerance = 1e-3;
    private const double HalfTolerance = 2e-2;

    /// <summary>What is still the same answer.</summary>
    public static double Tolerance(ModelSignature signature) =>
        signature.Inputs.Concat(signature.Outputs).Any(t => t.Datatype == Datatypes.Fp16) ? HalfTolerance : SingleTolerance;

    /// <summary>The greatest difference of two tensors: relative for values over 1, absolute below, infinite where they cannot be compared.</summary>
    public static double Greatest(TensorBuffer a, TensorBuffer b)
    {
        if (a.Count != b.Count)
            return double.PositiveInfinity;
        if (a.Datatype.IsText)
            return a.Texts.Span.SequenceEqual(b.Texts.Span) ? 0 : double.PositiveInfinity;
        var greatest = 0d;
        for (var i = 0; i < a.Count; i++)
        {
            var (x, y) = (Value(a, i), Value(b, i));
            if (double.IsNaN(x) && double.IsNaN(y))
                continue;
            var difference = x.Equals(y) ? 0 : Math.Abs(x - y) / Math.Max(1, Math.Abs(x));
            greatest = double.IsNaN(difference) ? double.PositiveInfinity : Math.Max(greatest, difference);
        }

        return greatest;
    }

    /// <summary>A difference as a number of a card; null where there is none: one of the two is no number or infinite, or they have other shapes.</summary>
    public static double? Finite(double difference) => double.IsFinite(difference) ? difference : null;

    /// <summary>A difference within a sentence.</summary>
    public static string Describe(double difference) => double.IsFinite(difference) ? $"{difference:g3}" : "infinity (only one of them is a number, or their shapes differ)";

    private static double Value(TensorBuffer tensor, int at) => tensor.Datatype.Name switch
    {
        Datatypes.Fp32 => MemoryMarshal.Cast<byte, float>(tensor.Bytes.Span)[at],
        Datatypes.Fp64 => MemoryMarshal.Cast<byte, double>(tensor.Bytes.Span)[at],
        Datatypes.Fp16 => (double)MemoryMarshal.Cast<byte, Half>(tensor.Bytes.Span)[at],
        Datatypes.Int64 => MemoryMarshal.Cast<byte, long>(tensor.Bytes.Span)[at],
        Datatypes.UInt64 => MemoryMarshal.Cast<byte, ulong>(tensor.Bytes.Span)[at],
        Datatypes.Int32 => MemoryMarshal.Cast<byte, int>(tensor.Bytes.Span)[at],
        Datatypes.UInt32 => MemoryMarshal.Cast<byte, uint>(tensor.Bytes.Span)[at],
        Datatypes.Int16 => MemoryMarshal.Cast<byte, short>(tensor.Bytes.Span)[at],
        Datatypes.UInt16 => MemoryMarshal.Cast<byte, ushort>(tensor.Bytes.Span)[at],
        Datatypes.Int8 => (sbyte)tensor.Bytes.Span[at],
        _ => tensor.Bytes.Span[at],
    };
}
