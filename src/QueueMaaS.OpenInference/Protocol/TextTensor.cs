using System.Buffers.Binary;
using System.Text;
using QueueMaaS.Contracts;
using QueueMaaS.Inference.Tensors;

namespace QueueMaaS.OpenInference.Protocol;

/// <summary>Strings as the protocol writes them in binary: each with its length before it, four bytes, the least first.</summary>
internal static class TextTensor
{
    private static readonly UTF8Encoding Strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <exception cref="ProblemException"><c>tensor_shape_mismatch</c> or <c>tensor_datatype_mismatch</c>.</exception>
    public static TensorBuffer Read(TensorHeader header, int count, ReadOnlySpan<byte> bytes)
    {
        // Each string has its length at least: a shape that promises more is refused before memory is set aside for it.
        if ((long)count * sizeof(int) > bytes.Length)
            throw Mismatch(header, count, "fewer");
        var texts = new string[count];
        var rest = bytes;
        for (var i = 0; i < count; i++)
        {
            if (rest.Length < sizeof(int) || BinaryPrimitives.ReadUInt32LittleEndian(rest) is var length && length > rest.Length - sizeof(int))
                throw Mismatch(header, count, $"only {i} whole ones,");
            texts[i] = Text(header, i, rest.Slice(sizeof(int), (int)length));
            rest = rest[(sizeof(int) + (int)length)..];
        }

        return rest.IsEmpty ? TensorBuffer.OfTexts(header.Name, header.Shape, texts) : throw Mismatch(header, count, "more");
    }

    /// <summary>One string, which must be UTF-8.</summary>
    public static string Text(TensorHeader header, int index, ReadOnlySpan<byte> bytes)
    {
        try
        {
            return Strict.GetString(bytes);
        }
        catch (DecoderFallbackException)
        {
            throw new ProblemException(
                ProblemCodes.TensorDatatypeMismatch, $"Element {index} of input '{header.Name}' is not UTF-8. BYTES tensors carry text here; send other bytes as UINT8.", ("input", header.Name), ("index", index));
        }
    }

    public static int Size(TensorBuffer tensor)
    {
        var size = 0L;
        foreach (var text in tensor.Texts.Span)
            size += sizeof(int) + Encoding.UTF8.GetByteCount(text);
        return checked((int)size);
    }

    public static void Write(TensorBuffer tensor, Span<byte> target)
    {
        foreach (var text in tensor.Texts.Span)
        {
            var written = Encoding.UTF8.GetBytes(text, target[sizeof(int)..]);
            BinaryPrimitives.WriteInt32LittleEndian(target, written);
            target = target[(sizeof(int) + written)..];
        }
    }

    private static ProblemException Mismatch(TensorHeader header, int count, string has) => new(
        ProblemCodes.TensorShapeMismatch,
        $"Input '{header.Name}' has the shape [{string.Join(", ", header.Shape)}], which is {count} strings, but its bytes hold {has} strings. Write each as its length (4 bytes, little-endian) and its UTF-8 bytes.",
        ("input", header.Name), ("expected", count));
}
