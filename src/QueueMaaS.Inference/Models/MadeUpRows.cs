using System.Runtime.InteropServices;
using QueueMaaS.Contracts;
using QueueMaaS.Inference.Batching;
using QueueMaaS.Inference.Tensors;

namespace QueueMaaS.Inference.Models;

/// <summary>Inputs that most models can compute, to try or to warm one up before anybody has sent it anything.</summary>
internal static class MadeUpRows
{
    /// <summary>Sizes to try along free axes: texts and sensors first, images last.</summary>
    public static readonly int[] FreeSizes = [8, 32, 224];

    /// <summary>The sizes that are worth trying: without a free axis every one makes the same rows.</summary>
    public static IReadOnlyList<int> SizesFor(ModelSignature signature) => signature.Inputs.Any(static i => i.Shape.Skip(1).Any(static s => s < 0)) ? FreeSizes : FreeSizes[..1];

    /// <summary>Rows of one each, with <paramref name="freeSize"/> along every free axis.</summary>
    public static BatchMember[] Make(ModelSignature signature, int freeSize, int count)
    {
        // The same numbers at every registration, so that a model is judged the same twice.
        var random = new Random(20_11);
        return [.. Enumerable.Range(0, count).Select(row => new BatchMember([.. signature.Inputs.Select(input => MakeRow(input, freeSize, row, random))], 1))];
    }

    /// <summary>One request of so many rows.</summary>
    public static TensorBuffer[] Together(ModelSignature signature, int freeSize, int rows)
    {
        var random = new Random(20_11);
        return [.. signature.Inputs.Select(input => MakeRow(input, freeSize, 1, random, input.Shape is [> 0 and var only, ..] ? only : rows))];
    }

    private static TensorBuffer MakeRow(TensorSignature input, int freeSize, int row, Random random, long rows = 1)
    {
        var shape = input.Shape.Select((size, axis) => axis == 0 ? rows : size < 0 ? freeSize : size).ToArray();
        var count = (int)shape.Aggregate(1L, (product, size) => checked(product * size));
        var datatype = TensorDatatype.Find(input.Datatype)!;
        if (datatype.IsText)
            return TensorBuffer.OfTexts(input.Name, shape, Enumerable.Range(0, count).Select(i => $"{row + i}").ToArray());
        var bytes = new byte[count * datatype.Size];
        for (var i = 0; i < count; i++)
            WriteValue(bytes, i, datatype, row, random);
        return TensorBuffer.OfBytes(input.Name, datatype, shape, bytes);
    }

    /// <summary>Fractions whose scale differs from row to row, so that a statistic over the batch shows; whole numbers of 0 and 1, which every embedding has.</summary>
    private static void WriteValue(byte[] bytes, int at, TensorDatatype datatype, int row, Random random)
    {
        var fraction = random.NextDouble() * (row + 1) / 2;
        switch (datatype.Name)
        {
            case Datatypes.Fp32:
                MemoryMarshal.Cast<byte, float>(bytes.AsSpan())[at] = (float)fraction;
                break;
            case Datatypes.Fp64:
                MemoryMarshal.Cast<byte, double>(bytes.AsSpan())[at] = fraction;
                break;
            case Datatypes.Fp16:
                MemoryMarshal.Cast<byte, Half>(bytes.AsSpan())[at] = (Half)fraction;
                break;
            default:
                bytes[at * datatype.Size] = (byte)random.Next(2);
                break;
        }
    }
}
