using System.Runtime.InteropServices;
using QueueMaaS.Contracts;
using QueueMaaS.Inference.Batching;
using QueueMaaS.Inference.Tensors;

namespace QueueMaaS.Inference.Preparation;

/// <summary>Pads requests along the ragged axis of their model version to one of a few lengths, so that requests of different lengths share batches, and cuts their answers back.</summary>
internal static class RaggedPadding
{
    /// <summary>The signature that a request is held against: without the mask where it leaves that out.</summary>
    public static ModelSignature Expected(ModelSignature signature, RaggedAxis? ragged, IEnumerable<string> given) =>
        ragged?.Mask is { } mask && !given.Contains(mask.Name, StringComparer.Ordinal)
            ? signature with { Inputs = [.. signature.Inputs.Where(i => i.Name != mask.Name)] }
            : signature;

    /// <summary>The inputs in the model's order, with a mask of ones where the request left it out.</summary>
    public static TensorBuffer[] WithMask(ModelSignature signature, RaggedAxis? ragged, TensorBuffer[] given)
    {
        if (ragged?.Mask is not { } mask || given.Length == signature.Inputs.Count)
            return given;
        var first = ragged.Inputs[0];
        var like = given.First(i => i.Name == first.Name);
        var at = signature.Inputs.TakeWhile(i => i.Name != mask.Name).Count();
        var shape = signature.Inputs[at].Shape.Select((size, axis) => axis == 0 ? like.Shape[0] : axis == mask.Axis ? like.Shape[first.Axis] : Math.Max(size, 1)).ToArray();
        return [.. given[..at], Filled(mask.Name, TensorDatatype.Find(signature.Inputs[at].Datatype)!, shape, 1), .. given[at..]];
    }

    /// <summary>The request padded to the next of the version's lengths; the same where it is not to be padded.</summary>
    /// <exception cref="ProblemException"><c>tensor_shape_mismatch</c>: its ragged inputs differ in length.</exception>
    public static PreparedRequest Pad(ServedModel model, PreparedRequest request)
    {
        if (model.Batching.Ragged is not { } ragged || !request.Batchable)
            return request;
        var length = Length(request.Inputs, ragged);
        if (!model.IsPadded || ragged.Lengths.FirstOrDefault(l => l >= length) is not (> 0 and var to) || to == length)
            return request;
        return InferenceRequestCheck.FromBuffers(model.Signature, PadTo(request.Inputs, ragged, to)) with { FromPipeline = request.FromPipeline, Placement = request.Placement, UnpaddedLength = length };
    }

    /// <summary>The inputs with every ragged one padded to the same length; the mask with zeros.</summary>
    public static TensorBuffer[] PadTo(IReadOnlyList<TensorBuffer> inputs, RaggedAxis ragged, int length) =>
        [.. inputs.Select(input => Axis(ragged, input.Name) is { } axis ? PadTo(input, axis, length) : input)];

    /// <summary>Replaces the mask by one of ones.</summary>
    public static void FillMask(TensorBuffer[] inputs, RaggedAxis ragged)
    {
        for (var i = 0; i < inputs.Length; i++)
        {
            if (inputs[i].Name == ragged.Mask?.Name)
                inputs[i] = Filled(inputs[i].Name, inputs[i].Datatype, inputs[i].Shape, 1);
        }
    }

    /// <summary>The answer without what belongs to the padding.</summary>
    public static BatchResponse Cut(ServedModel model, PreparedRequest request, BatchResponse response) =>
        request.UnpaddedLength is { } length && model.Batching.Ragged is { } ragged ? response with { Outputs = Cut(response.Outputs, ragged, length) } : response;

    /// <summary>The outputs with every ragged one cut to its first <paramref name="length"/> places.</summary>
    public static IReadOnlyList<TensorBuffer> Cut(IReadOnlyList<TensorBuffer> outputs, RaggedAxis ragged, int length) =>
        [.. outputs.Select(output => ragged.Outputs?.FirstOrDefault(o => o.Name == output.Name) is { } cut && cut.Axis < output.Shape.Length && output.Shape[cut.Axis] > length
            ? Resize(output, cut.Axis, length, padWith: 0)
            : output)];

    private static RaggedInput? Axis(RaggedAxis ragged, string name) =>
        ragged.Mask is { } mask && mask.Name == name ? mask with { PadWith = 0 } : ragged.Inputs.FirstOrDefault(i => i.Name == name);

    private static TensorBuffer PadTo(TensorBuffer input, RaggedInput axis, int length) => Resize(input, axis.Axis, length, axis.PadWith);

    private static int Length(IReadOnlyList<TensorBuffer> inputs, RaggedAxis ragged)
    {
        var first = inputs.First(i => i.Name == ragged.Inputs[0].Name);
        var length = first.Shape[ragged.Inputs[0].Axis];
        foreach (var input in inputs)
        {
            if (Axis(ragged, input.Name) is { } axis && input.Shape[axis.Axis] != length)
            {
                throw new ProblemException(
                    ProblemCodes.TensorShapeMismatch,
                    $"Input '{input.Name}' has {input.Shape[axis.Axis]} places on its axis {axis.Axis}, but input '{first.Name}' has {length}. Give equally long inputs.",
                    ("input", input.Name), ("expected", length), ("given", input.Shape[axis.Axis]));
            }
        }

        return (int)Math.Min(length, int.MaxValue);
    }

    /// <summary>Copies a tensor with another size along one axis: what is beyond is left out, what is missing filled.</summary>
    private static TensorBuffer Resize(TensorBuffer tensor, int axis, int length, double padWith)
    {
        var shape = (long[])tensor.Shape.Clone();
        shape[axis] = length;
        var blocks = (int)tensor.Shape[..axis].Aggregate(1L, static (a, b) => checked(a * b));
        var place = (int)tensor.Shape[(axis + 1)..].Aggregate(1L, static (a, b) => checked(a * b));
        var (from, to) = ((int)tensor.Shape[axis] * place, checked(length * place));
        var kept = Math.Min(from, to);
        if (tensor.Datatype.IsText)
        {
            var texts = new string[checked(blocks * to)];
            Array.Fill(texts, "");
            for (var block = 0; block < blocks; block++)
                tensor.Texts.Span.Slice(block * from, kept).CopyTo(texts.AsSpan(block * to));
            return TensorBuffer.OfTexts(tensor.Name, shape, texts);
        }

        var size = tensor.Datatype.Size;
        var bytes = padWith == 0 ? new byte[checked(blocks * to * size)] : Filled(tensor.Name, tensor.Datatype, shape, padWith).Bytes.ToArray();
        for (var block = 0; block < blocks; block++)
            tensor.Bytes.Span.Slice(block * from * size, kept * size).CopyTo(bytes.AsSpan(block * to * size));
        return TensorBuffer.OfBytes(tensor.Name, tensor.Datatype, shape, bytes);
    }

    private static TensorBuffer Filled(string name, TensorDatatype datatype, long[] shape, double value)
    {
        var count = (int)shape.Aggregate(1L, static (a, b) => checked(a * b));
        var bytes = new byte[checked(count * datatype.Size)];
        var target = bytes.AsSpan();
        switch (datatype.Name)
        {
            case Datatypes.Fp32: MemoryMarshal.Cast<byte, float>(target).Fill((float)value); break;
            case Datatypes.Fp64: MemoryMarshal.Cast<byte, double>(target).Fill(value); break;
            case Datatypes.Fp16: MemoryMarshal.Cast<byte, Half>(target).Fill((Half)value); break;
            case Datatypes.Int64: MemoryMarshal.Cast<byte, long>(target).Fill((long)value); break;
            case Datatypes.UInt64: MemoryMarshal.Cast<byte, ulong>(target).Fill((ulong)value); break;
            case Datatypes.Int32: MemoryMarshal.Cast<byte, int>(target).Fill((int)value); break;
            case Datatypes.UInt32: MemoryMarshal.Cast<byte, uint>(target).Fill((uint)value); break;
            case Datatypes.Int16: MemoryMarshal.Cast<byte, short>(target).Fill((short)value); break;
            case Datatypes.UInt16: MemoryMarshal.Cast<byte, ushort>(target).Fill((ushort)value); break;
            case Datatypes.Int8: target.Fill((byte)(sbyte)value); break;
            default: target.Fill((byte)value); break;
        }

        return TensorBuffer.OfBytes(name, datatype, shape, bytes);
    }
}
