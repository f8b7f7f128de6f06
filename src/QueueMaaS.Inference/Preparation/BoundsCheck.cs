using System.Numerics;
using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using QueueMaaS.Contracts;
using QueueMaaS.Inference.Tensors;

namespace QueueMaaS.Inference.Preparation;

/// <summary>Holds values against the bounds of the signature.</summary>
internal static class BoundsCheck
{
    /// <exception cref="ProblemException"><c>invalid_value</c>, naming the first value beyond its bounds and its place.</exception>
    public static void Check(TensorSignature expected, TensorBuffer tensor)
    {
        if (expected is not { Minimum: { } least, Maximum: { } greatest })
            return;
        var at = tensor.Datatype.Name == Datatypes.Int64
            ? FirstBeyond(MemoryMarshal.Cast<byte, long>(tensor.Bytes.Span), least, greatest)
            : FirstBeyond(MemoryMarshal.Cast<byte, int>(tensor.Bytes.Span), (int)Math.Max(least, int.MinValue), (int)Math.Min(greatest, int.MaxValue));
        if (at < 0)
            return;
        var value = tensor.Datatype.Name == Datatypes.Int64 ? MemoryMarshal.Cast<byte, long>(tensor.Bytes.Span)[at] : MemoryMarshal.Cast<byte, int>(tensor.Bytes.Span)[at];
        throw new ProblemException(
            ProblemCodes.InvalidValue,
            $"Input '{expected.Name}' has {value} at place {at}, but the model looks it up in a table of {greatest + 1} entries: values go from {least} to {greatest}. Check that the vocabulary or categories are those that the model was trained with.",
            ("input", expected.Name), ("index", at), ("value", value), ("minimum", least), ("maximum", greatest));
    }

    private static int FirstBeyond<T>(ReadOnlySpan<T> values, T least, T greatest) where T : unmanaged, INumber<T>
    {
        if (values.IsEmpty || (TensorPrimitives.Min(values) >= least && TensorPrimitives.Max(values) <= greatest))
            return -1;
        for (var i = 0; i < values.Length; i++)
        {
            if (values[i] < least || values[i] > greatest)
                return i;
        }

        return -1;
    }
}
