using System.Text.Json;

namespace QueueMaaS.Contracts;

/// <summary>A tensor as the Open Inference Protocol v2 writes it in JSON.</summary>
public sealed record Tensor
{
    /// <summary>The input's or output's name in the model's signature.</summary>
    public required string Name { get; init; }
    /// <summary>Its size along each axis, the batch axis first.</summary>
    public required IReadOnlyList<long> Shape { get; init; }
    /// <summary>One of <see cref="Datatypes"/>.</summary>
    public required string Datatype { get; init; }
    /// <summary>
    /// The values in row-major order, flat or nested as the shape. Or, of any datatype but <c>BYTES</c>, a string: base64 of the values' bytes in that order, little-endian, as the
    /// protocol's binary extension has them (<c>BOOL</c>: a byte 0 or 1). It is shorter than numbers, exact, and costs next to nothing to read.
    /// </summary>
    public required JsonElement Data { get; init; }

    /// <summary>A tensor whose values are given as bytes, row-major and little-endian.</summary>
    /// <param name="name">The input's name.</param>
    /// <param name="datatype">One of <see cref="Datatypes"/>, but not <c>BYTES</c>.</param>
    /// <param name="shape">Its size along each axis.</param>
    /// <param name="values">The values, such as <c>MemoryMarshal.AsBytes(floats)</c>.</param>
    public static Tensor OfBytes(string name, string datatype, IReadOnlyList<long> shape, ReadOnlySpan<byte> values) =>
        new() { Name = name, Datatype = datatype, Shape = shape, Data = JsonSerializer.SerializeToElement(Convert.ToBase64String(values), QueueMaaSJson.Relaxed) };
}

/// <summary>The datatypes of the Open Inference Protocol v2.</summary>
public static class Datatypes
{
    /// <summary>true and false.</summary>
    public const string Bool = "BOOL";
    /// <summary>Unsigned 8 bits.</summary>
    public const string UInt8 = "UINT8";
    /// <summary>Unsigned 16 bits.</summary>
    public const string UInt16 = "UINT16";
    /// <summary>Unsigned 32 bits.</summary>
    public const string UInt32 = "UINT32";
    /// <summary>Unsigned 64 bits.</summary>
    public const string UInt64 = "UINT64";
    /// <summary>Signed 8 bits.</summary>
    public const string Int8 = "INT8";
    /// <summary>Signed 16 bits.</summary>
    public const string Int16 = "INT16";
    /// <summary>Signed 32 bits.</summary>
    public const string Int32 = "INT32";
    /// <summary>Signed 64 bits.</summary>
    public const string Int64 = "INT64";
    /// <summary>Half precision.</summary>
    public const string Fp16 = "FP16";
    /// <summary>Single precision.</summary>
    public const string Fp32 = "FP32";
    /// <summary>Double precision.</summary>
    public const string Fp64 = "FP64";
    /// <summary>Strings (UTF-8).</summary>
    public const string Bytes = "BYTES";
}

/// <summary>One input or output of a model. A size of -1 is free; the first axis is the batch axis when it is -1.</summary>
public sealed record TensorSignature(string Name, string Datatype, IReadOnlyList<long> Shape)
{
    /// <summary>The least value that the model can compute with; left out where it takes any. Read from graphs that use the input to pick rows of a table, such as an embedding.</summary>
    public long? Minimum { get; init; }
    /// <summary>The greatest value that the model can compute with; left out where it takes any.</summary>
    public long? Maximum { get; init; }
}

/// <summary>What a model takes and gives.</summary>
public sealed record ModelSignature(IReadOnlyList<TensorSignature> Inputs, IReadOnlyList<TensorSignature> Outputs);
