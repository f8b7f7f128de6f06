using System.Globalization;
using System.Runtime.InteropServices;
using QueueMaaS.Contracts;
using QueueMaaS.Inference.Tensors;

namespace QueueMaaS.OpenInference.Protocol;

/// <summary>Triton's classification extension: for each row its greatest values as <c>value:index</c> or <c>value:index:label</c>.</summary>
internal static class Classification
{
    /// <exception cref="ProblemException"><c>invalid_request</c>: the output is text.</exception>
    public static TensorBuffer Of(TensorBuffer output, int classes, IReadOnlyList<string>? labels)
    {
        var values = Values(output);
        var rows = output.Shape.Length > 1 ? (int)output.Shape[0] : 1;
        var width = rows == 0 ? 0 : values.Length / rows;
        classes = Math.Min(classes, width);
        var texts = new string[rows * classes];
        for (var row = 0; row < rows; row++)
        {
            var own = values.AsSpan(row * width, width).ToArray();
            var best = Enumerable.Range(0, width).OrderByDescending(index => own[index]).Take(classes).ToArray();
            for (var rank = 0; rank < classes; rank++)
            {
                var index = best[rank];
                var text = string.Create(CultureInfo.InvariantCulture, $"{own[index]:F6}:{index}");
                texts[(row * classes) + rank] = labels is not null && index < labels.Count ? $"{text}:{labels[index]}" : text;
            }
        }

        return TensorBuffer.OfTexts(output.Name, output.Shape.Length > 1 ? [rows, classes] : [classes], texts);
    }

    private static double[] Values(TensorBuffer output)
    {
        var bytes = output.Bytes.Span;
        return output.Datatype.Name switch
        {
            Datatypes.Fp32 => Widen(MemoryMarshal.Cast<byte, float>(bytes)),
            Datatypes.Fp64 => Widen(MemoryMarshal.Cast<byte, double>(bytes)),
            Datatypes.Fp16 => Widen(MemoryMarshal.Cast<byte, Half>(bytes)),
            Datatypes.Int64 => Widen(MemoryMarshal.Cast<byte, long>(bytes)),
            Datatypes.Int32 => Widen(MemoryMarshal.Cast<byte, int>(bytes)),
            Datatypes.UInt8 => Widen(bytes),
            _ => throw new ProblemException(ProblemCodes.InvalidRequest, $"Output '{output.Name}' is {output.Datatype.Name}, of which no classes can be made. Leave `classification` out.", ("output", output.Name)),
        };
    }

    private static double[] Widen<T>(ReadOnlySpan<T> values) where T : struct, System.Numerics.INumber<T>
    {
        var wide = new double[values.Length];
        for (var i = 0; i < wide.Length; i++)
            wide[i] = double.CreateChecked(values[i]);
        return wide;
    }
}
