using Microsoft.ML.OnnxRuntime.Tensors;
using QueueMaaS.Contracts;

namespace QueueMaaS.Inference.Tensors;

/// <summary>An Open Inference Protocol datatype with what is needed to hold its values in memory.</summary>
/// <param name="Name">One of <see cref="Datatypes"/>.</param>
/// <param name="Size">Bytes per element; 0 for <c>BYTES</c>, whose elements are strings.</param>
/// <param name="Element">ONNX Runtime's name for it.</param>
public sealed record TensorDatatype(string Name, int Size, TensorElementType Element)
{
    private static readonly TensorDatatype[] All =
    [
        new(Datatypes.Bool, 1, TensorElementType.Bool),
        new(Datatypes.UInt8, 1, TensorElementType.UInt8),
        new(Datatypes.UInt16, 2, TensorElementType.UInt16),
        new(Datatypes.UInt32, 4, TensorElementType.UInt32),
        new(Datatypes.UInt64, 8, TensorElementType.UInt64),
        new(Datatypes.Int8, 1, TensorElementType.Int8),
        new(Datatypes.Int16, 2, TensorElementType.Int16),
        new(Datatypes.Int32, 4, TensorElementType.Int32),
        new(Datatypes.Int64, 8, TensorElementType.Int64),
        new(Datatypes.Fp16, 2, TensorElementType.Float16),
        new(Datatypes.Fp32, 4, TensorElementType.Float),
        new(Datatypes.Fp64, 8, TensorElementType.Double),
        new(Datatypes.Bytes, 0, TensorElementType.String),
    ];

    /// <summary>True for <c>BYTES</c>.</summary>
    public bool IsText => Size == 0;

    /// <summary>The datatype called <paramref name="name"/> (exactly as the protocol spells it), or null.</summary>
    public static TensorDatatype? Find(string name) => Array.Find(All, d => d.Name == name);

    /// <summary>The datatype of an ONNX Runtime element, or null where the protocol has none (complex, bfloat16, 8-bit floats).</summary>
    public static TensorDatatype? Find(TensorElementType element) => Array.Find(All, d => d.Element == element);

    /// <summary>The protocol's names, for messages.</summary>
    public static string Names => string.Join(", ", All.Select(d => d.Name));
}
