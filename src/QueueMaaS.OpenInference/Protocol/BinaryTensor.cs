using QueueMaaS.Contracts;
using QueueMaaS.Inference.Tensors;

namespace QueueMaaS.OpenInference.Protocol;

/// <summary>A tensor whose values came in binary: row-major, little-endian, and not copied.</summary>
internal static class BinaryTensor
{
    /// <exception cref="ProblemException"><c>tensor_datatype_mismatch</c> or <c>tensor_shape_mismatch</c>.</exception>
    public static TensorBuffer Read(TensorHeader header, ReadOnlyMemory<byte> bytes, TensorSignature expected)
    {
        var (datatype, count) = TensorReader.Check(header, expected);
        if (datatype.IsText)
            return TextTensor.Read(header, count, bytes.Span);
        if (bytes.Length != (long)count * datatype.Size)
        {
            throw new ProblemException(
                ProblemCodes.TensorShapeMismatch,
                $"Input '{header.Name}' has the shape [{string.Join(", ", header.Shape)}] of {datatype.Name}, which is {(long)count * datatype.Size} bytes, but {bytes.Length} came. Make the shape and the bytes agree.",
                ("input", header.Name), ("expected", (long)count * datatype.Size), ("given", bytes.Length));
        }

        if (datatype.Name == Datatypes.Bool && bytes.Span.ContainsAnyExceptInRange((byte)0, (byte)1))
            throw new ProblemException(ProblemCodes.TensorDatatypeMismatch, $"Input '{header.Name}' is BOOL, but one of its bytes is neither 0 nor 1.", ("input", header.Name));
        return TensorBuffer.OfBytes(header.Name, datatype, header.Shape, bytes);
    }
}
