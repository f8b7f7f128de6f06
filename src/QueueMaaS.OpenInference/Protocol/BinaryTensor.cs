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
        return datatype.IsText ? TextTensor.Read(header, count, bytes.Span) : TensorReader.ReadBytes(header, bytes, expected);
    }
}
