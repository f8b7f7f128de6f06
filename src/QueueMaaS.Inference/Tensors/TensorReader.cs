using System.Runtime.InteropServices;
using System.Text.Json;
using QueueMaaS.Contracts;

namespace QueueMaaS.Inference.Tensors;

/// <summary>Reads Open Inference Protocol JSON tensors into memory and holds them against a model's signature.</summary>
public static class TensorReader
{
    /// <summary>
    /// Reads all of a request's tensors, in the order of <paramref name="signature"/>'s inputs.
    /// </summary>
    /// <exception cref="ProblemException"><c>tensor_name_mismatch</c>, <c>tensor_datatype_mismatch</c> or <c>tensor_shape_mismatch</c>, naming the tensor and what the model expects.</exception>
    public static TensorBuffer[] Read(IReadOnlyList<Tensor> tensors, ModelSignature signature)
    {
        ArgumentNullException.ThrowIfNull(tensors);
        ArgumentNullException.ThrowIfNull(signature);
        var read = new TensorBuffer[signature.Inputs.Count];
        foreach (var tensor in tensors)
        {
            var index = IndexOf(signature.Inputs, tensor.Name);
            if (index < 0)
                throw NameMismatch($"The model has no input '{tensor.Name}'.", signature);
            if (read[index] is not null)
                throw NameMismatch($"Input '{tensor.Name}' is given twice.", signature);
            read[index] = Read(tensor, signature.Inputs[index]);
        }

        for (var i = 0; i < read.Length; i++)
        {
            if (read[i] is null)
                throw NameMismatch($"Input '{signature.Inputs[i].Name}' is missing.", signature);
        }

        return read;
    }

    /// <summary>Holds tensors that are in memory already against <paramref name="signature"/>, and puts them in its order.</summary>
    /// <exception cref="ProblemException"><c>tensor_name_mismatch</c>, <c>tensor_datatype_mismatch</c> or <c>tensor_shape_mismatch</c>.</exception>
    public static TensorBuffer[] Match(IReadOnlyList<TensorBuffer> tensors, ModelSignature signature)
    {
        ArgumentNullException.ThrowIfNull(tensors);
        ArgumentNullException.ThrowIfNull(signature);
        var matched = new TensorBuffer[signature.Inputs.Count];
        foreach (var tensor in tensors)
        {
            var index = IndexOf(signature.Inputs, tensor.Name);
            if (index < 0)
                throw NameMismatch($"The model has no input '{tensor.Name}'.", signature);
            if (matched[index] is not null)
                throw NameMismatch($"Input '{tensor.Name}' is given twice.", signature);
            var expected = signature.Inputs[index];
            if (tensor.Datatype.Name != expected.Datatype)
                throw DatatypeMismatch(tensor.Name, tensor.Datatype.Name, expected);
            CheckShape(tensor.Name, tensor.Shape, expected);
            matched[index] = tensor;
        }

        for (var i = 0; i < matched.Length; i++)
        {
            if (matched[i] is null)
                throw NameMismatch($"Input '{signature.Inputs[i].Name}' is missing.", signature);
        }

        return matched;
    }

    /// <summary>Reads one tensor. Data is flat, or nested exactly as its shape, or base64 of the values' bytes.</summary>
    /// <exception cref="ProblemException"><c>tensor_datatype_mismatch</c> or <c>tensor_shape_mismatch</c>.</exception>
    public static TensorBuffer Read(Tensor tensor, TensorSignature expected)
    {
        ArgumentNullException.ThrowIfNull(tensor);
        ArgumentNullException.ThrowIfNull(expected);
        var header = new TensorHeader(tensor.Name, tensor.Datatype, [.. tensor.Shape]);
        return tensor.Data.ValueKind == JsonValueKind.String && expected.Datatype != Datatypes.Bytes
            ? ReadBytes(header, Bytes(header, tensor.Data), expected)
            : Read(header, JsonMarshal.GetRawUtf8Value(tensor.Data), expected);
    }

    /// <summary>Takes the values of one tensor that is no text as they came in binary: row-major, little-endian, and not copied.</summary>
    /// <exception cref="ProblemException"><c>tensor_datatype_mismatch</c> or <c>tensor_shape_mismatch</c>.</exception>
    public static TensorBuffer ReadBytes(TensorHeader header, ReadOnlyMemory<byte> bytes, TensorSignature expected)
    {
        var (datatype, count) = Check(header, expected);
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

    private static byte[] Bytes(TensorHeader header, JsonElement data) => data.TryGetBytesFromBase64(out var bytes)
        ? bytes
        : throw new ProblemException(
            ProblemCodes.TensorDatatypeMismatch,
            $"Input '{header.Name}' has a text as its data, but it is not base64. Give {header.Datatype} values as an array of numbers, or as base64 of their bytes (row-major, little-endian; the standard alphabet with padding).",
            ("input", header.Name), ("expected", header.Datatype));

    /// <summary>Reads one tensor whose data is still text, without a document between.</summary>
    /// <param name="header">What the request says of the tensor.</param>
    /// <param name="json">Its data: one well-formed JSON value, flat or nested exactly as its shape.</param>
    /// <param name="expected">What the model takes.</param>
    /// <exception cref="ProblemException"><c>tensor_datatype_mismatch</c> or <c>tensor_shape_mismatch</c>.</exception>
    public static TensorBuffer Read(TensorHeader header, ReadOnlySpan<byte> json, TensorSignature expected)
    {
        var (datatype, count) = Check(header, expected);
        // Every element takes a byte and a comma at least: a shape that promises more than that is refused before memory is set aside for it.
        if (count > (json.Length + 1L) / 2)
            throw CountMismatch(header, count, null);
        return datatype.IsText ? ReadTexts(header, header.Shape, count, json) : ReadValues(header, datatype, header.Shape, count, json);
    }

    /// <summary>Holds a tensor's datatype and shape against the signature; its values are not looked at.</summary>
    /// <returns>Its datatype, and how many elements its shape says it has.</returns>
    /// <exception cref="ProblemException"><c>tensor_datatype_mismatch</c> or <c>tensor_shape_mismatch</c>.</exception>
    public static (TensorDatatype Datatype, int Count) Check(TensorHeader header, TensorSignature expected)
    {
        ArgumentNullException.ThrowIfNull(header);
        ArgumentNullException.ThrowIfNull(expected);
        var datatype = TensorDatatype.Find(header.Datatype) ?? throw new ProblemException(
            ProblemCodes.TensorDatatypeMismatch,
            $"Input '{header.Name}' has the unknown datatype '{header.Datatype}'. Give it as {expected.Datatype} (the protocol's datatypes are {TensorDatatype.Names}).",
            ("input", header.Name), ("expected", expected.Datatype), ("given", header.Datatype));
        if (datatype.Name != expected.Datatype)
            throw DatatypeMismatch(header.Name, datatype.Name, expected);
        return (datatype, (int)CheckShape(header.Name, header.Shape, expected));
    }

    /// <summary>What the model says of the input called <paramref name="name"/>.</summary>
    /// <exception cref="ProblemException"><c>tensor_name_mismatch</c>: it has none of that name.</exception>
    public static TensorSignature Expect(ModelSignature signature, string name)
    {
        ArgumentNullException.ThrowIfNull(signature);
        var index = IndexOf(signature.Inputs, name);
        return index >= 0 ? signature.Inputs[index] : throw NameMismatch($"The model has no input '{name}'.", signature);
    }

    private static int IndexOf(IReadOnlyList<TensorSignature> inputs, string name)
    {
        for (var i = 0; i < inputs.Count; i++)
        {
            if (inputs[i].Name == name)
                return i;
        }

        return -1;
    }

    private static ProblemException DatatypeMismatch(string name, string given, TensorSignature expected) => new(
        ProblemCodes.TensorDatatypeMismatch,
        $"Input '{name}' is given as {given}, but the model takes {expected.Datatype}. Convert it and send {expected.Datatype}.",
        ("input", name), ("expected", expected.Datatype), ("given", given));

    private static long CheckShape(string name, long[] shape, TensorSignature expected)
    {
        var fits = shape.Length == expected.Shape.Count;
        for (var i = 0; fits && i < shape.Length; i++)
            fits = shape[i] >= 0 && (expected.Shape[i] < 0 || expected.Shape[i] == shape[i]);
        if (!fits)
        {
            throw new ProblemException(
                ProblemCodes.TensorShapeMismatch,
                $"Input '{name}' has the shape [{string.Join(", ", shape)}], but the model takes {TensorBuffer.Describe(expected.Shape)}. Sizes are whole numbers of at least 0, one for each axis.",
                ("input", name), ("expected", expected.Shape), ("given", shape));
        }

        // A zero further on would hide an overflow of the sizes before it.
        if (Array.IndexOf(shape, 0L) >= 0)
            return 0;
        var count = 1L;
        foreach (var size in shape)
        {
            if (size > int.MaxValue / count)
            {
                throw new ProblemException(
                    ProblemCodes.TensorShapeMismatch,
                    $"Input '{name}' has the shape [{string.Join(", ", shape)}], which is more than 2,147,483,647 elements. Send fewer rows at a time.",
                    ("input", name), ("given", shape));
            }

            count *= size;
        }

        return count;
    }

    private static TensorBuffer ReadTexts(TensorHeader tensor, long[] shape, int count, ReadOnlySpan<byte> json)
    {
        var texts = new string[count];
        var walker = new TensorJsonWalker(json, shape);
        var index = 0;
        while (walker.Next(tensor))
        {
            if (index == count)
                throw CountMismatch(tensor, count, null);
            if (walker.Token.TokenType != JsonTokenType.String)
                throw ValueMismatch(tensor, Datatypes.Bytes, index, ref walker);
            texts[index++] = walker.Token.GetString()!;
        }

        return index == count ? TensorBuffer.OfTexts(tensor.Name, shape, texts) : throw CountMismatch(tensor, count, index);
    }

    private static TensorBuffer ReadValues(TensorHeader tensor, TensorDatatype datatype, long[] shape, int count, ReadOnlySpan<byte> json)
    {
        if ((long)count * datatype.Size > Array.MaxLength)
            throw new ProblemException(ProblemCodes.TensorShapeMismatch, $"Input '{tensor.Name}' is larger than 2 GiB. Send fewer rows at a time.", ("input", tensor.Name), ("given", shape));
        var bytes = GC.AllocateUninitializedArray<byte>(count * datatype.Size);
        if (datatype.Name == Datatypes.Fp32 && FlatFloats.TryRead(json, shape, As<float>(bytes)))
            return TensorBuffer.OfBytes(tensor.Name, datatype, shape, bytes);
        var walker = new TensorJsonWalker(json, shape);
        // Each datatype has its own loop, so that the choice is made once for a tensor and not once for each number.
        var read = datatype.Name switch
        {
            Datatypes.Fp32 => Fill(tensor, ref walker, As<float>(bytes), static (ref Utf8JsonReader r, out float v) => IsNumber(ref r, out v) && r.TryGetSingle(out v) && float.IsFinite(v)),
            Datatypes.Fp64 => Fill(tensor, ref walker, As<double>(bytes), static (ref Utf8JsonReader r, out double v) => IsNumber(ref r, out v) && r.TryGetDouble(out v) && double.IsFinite(v)),
            Datatypes.Fp16 => Fill(tensor, ref walker, As<Half>(bytes), TryHalf),
            Datatypes.Int64 => Fill(tensor, ref walker, As<long>(bytes), static (ref Utf8JsonReader r, out long v) => IsNumber(ref r, out v) && r.TryGetInt64(out v)),
            Datatypes.Int32 => Fill(tensor, ref walker, As<int>(bytes), static (ref Utf8JsonReader r, out int v) => IsNumber(ref r, out v) && r.TryGetInt32(out v)),
            Datatypes.Int16 => Fill(tensor, ref walker, As<short>(bytes), static (ref Utf8JsonReader r, out short v) => IsNumber(ref r, out v) && r.TryGetInt16(out v)),
            Datatypes.Int8 => Fill(tensor, ref walker, As<sbyte>(bytes), static (ref Utf8JsonReader r, out sbyte v) => IsNumber(ref r, out v) && r.TryGetSByte(out v)),
            Datatypes.UInt64 => Fill(tensor, ref walker, As<ulong>(bytes), static (ref Utf8JsonReader r, out ulong v) => IsNumber(ref r, out v) && r.TryGetUInt64(out v)),
            Datatypes.UInt32 => Fill(tensor, ref walker, As<uint>(bytes), static (ref Utf8JsonReader r, out uint v) => IsNumber(ref r, out v) && r.TryGetUInt32(out v)),
            Datatypes.UInt16 => Fill(tensor, ref walker, As<ushort>(bytes), static (ref Utf8JsonReader r, out ushort v) => IsNumber(ref r, out v) && r.TryGetUInt16(out v)),
            Datatypes.UInt8 => Fill<byte>(tensor, ref walker, bytes, static (ref Utf8JsonReader r, out byte v) => IsNumber(ref r, out v) && r.TryGetByte(out v)),
            _ => Fill<byte>(tensor, ref walker, bytes, TryBool),
        };
        return read == count ? TensorBuffer.OfBytes(tensor.Name, datatype, shape, bytes) : throw CountMismatch(tensor, count, read);
    }

    private delegate bool Parse<T>(ref Utf8JsonReader token, out T value);

    private static int Fill<T>(TensorHeader tensor, ref TensorJsonWalker walker, Span<T> values, Parse<T> parse)
    {
        var index = 0;
        while (walker.Next(tensor))
        {
            if (index == values.Length)
                throw CountMismatch(tensor, values.Length, null);
            if (!parse(ref walker.Token, out values[index]))
                throw ValueMismatch(tensor, tensor.Datatype, index, ref walker);
            index++;
        }

        return index;
    }

    private static Span<T> As<T>(byte[] bytes)
        where T : struct => MemoryMarshal.Cast<byte, T>(bytes.AsSpan());

    private static bool IsNumber<T>(ref Utf8JsonReader token, out T value)
        where T : struct
    {
        value = default;
        return token.TokenType == JsonTokenType.Number;
    }

    private static bool TryHalf(ref Utf8JsonReader token, out Half value)
    {
        value = default;
        if (token.TokenType != JsonTokenType.Number || !token.TryGetDouble(out var wide))
            return false;
        value = (Half)wide;
        return Half.IsFinite(value);
    }

    /// <summary>Some clients write booleans as 0 and 1, which can mean nothing else.</summary>
    private static bool TryBool(ref Utf8JsonReader token, out byte value)
    {
        value = token.TokenType == JsonTokenType.True ? (byte)1 : (byte)0;
        return token.TokenType is JsonTokenType.True or JsonTokenType.False
            || (token.TokenType == JsonTokenType.Number && token.TryGetByte(out value) && value <= 1);
    }

    private static ProblemException NameMismatch(string reason, ModelSignature signature)
    {
        var names = signature.Inputs.Select(i => i.Name).ToArray();
        return new(
            ProblemCodes.TensorNameMismatch,
            $"{reason} The model's inputs are {string.Join(", ", signature.Inputs.Select(i => $"'{i.Name}' ({i.Datatype} {TensorBuffer.Describe(i.Shape)})"))}; give each once.",
            ("inputs", names));
    }

    private static ProblemException CountMismatch(TensorHeader tensor, long expected, int? given) => new(
        ProblemCodes.TensorShapeMismatch,
        $"Input '{tensor.Name}' has the shape [{string.Join(", ", tensor.Shape)}], which is {expected} elements, but its data has {(given is { } n ? n.ToString() : expected == 0 ? "some" : "another number")}. Make shape and data agree.",
        ("input", tensor.Name), ("expected", expected), ("given", given));

    private static ProblemException ValueMismatch(TensorHeader tensor, string datatype, int index, ref TensorJsonWalker walker)
    {
        var text = walker.Token.HasValueSequence ? "" : System.Text.Encoding.UTF8.GetString(walker.Token.ValueSpan[..Math.Min(40, walker.Token.ValueSpan.Length)]);
        return new(
            ProblemCodes.TensorDatatypeMismatch,
            $"Input '{tensor.Name}' has at index {index} the value {(text.Length == 0 ? walker.Token.TokenType.ToString() : $"'{text}'")}, which is not a {datatype} value or does not fit into one. Correct the value, or send another datatype if the model takes it.",
            ("input", tensor.Name), ("index", index), ("expected", datatype));
    }
}
