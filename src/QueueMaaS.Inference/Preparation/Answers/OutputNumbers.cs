using System.Numerics;
using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using QueueMaaS.Contracts;
using QueueMaaS.Inference.Tensors;

namespace QueueMaaS.Inference.Preparation.Answers;

/// <summary>An output's numbers, whatever its datatype.</summary>
internal static class OutputNumbers
{
    /// <summary>In single precision: scores and boxes need no more.</summary>
    public static float[] ToSingle(TensorBuffer output) => To<float>(output);

    /// <summary>In double precision.</summary>
    public static double[] ToDouble(TensorBuffer output) => To<double>(output);

    private static T[] To<T>(TensorBuffer output)
        where T : unmanaged, INumber<T>
    {
        var values = new T[output.Count];
        var bytes = output.Bytes.Span;
        switch (output.Datatype.Name)
        {
            case Datatypes.Fp32:
                TensorPrimitives.ConvertSaturating(MemoryMarshal.Cast<byte, float>(bytes), values);
                break;
            case Datatypes.Fp64:
                TensorPrimitives.ConvertSaturating(MemoryMarshal.Cast<byte, double>(bytes), values);
                break;
            case Datatypes.Fp16:
                TensorPrimitives.ConvertSaturating(MemoryMarshal.Cast<byte, Half>(bytes), values);
                break;
            case Datatypes.Int64:
                TensorPrimitives.ConvertSaturating(MemoryMarshal.Cast<byte, long>(bytes), values);
                break;
            case Datatypes.Int32:
                TensorPrimitives.ConvertSaturating(MemoryMarshal.Cast<byte, int>(bytes), values);
                break;
            case Datatypes.Int16:
                TensorPrimitives.ConvertSaturating(MemoryMarshal.Cast<byte, short>(bytes), values);
                break;
            case Datatypes.Int8:
                TensorPrimitives.ConvertSaturating(MemoryMarshal.Cast<byte, sbyte>(bytes), values);
                break;
            case Datatypes.UInt64:
                TensorPrimitives.ConvertSaturating(MemoryMarshal.Cast<byte, ulong>(bytes), values);
                break;
            case Datatypes.UInt32:
                TensorPrimitives.ConvertSaturating(MemoryMarshal.Cast<byte, uint>(bytes), values);
                break;
            case Datatypes.UInt16:
                TensorPrimitives.ConvertSaturating(MemoryMarshal.Cast<byte, ushort>(bytes), values);
                break;
            case Datatypes.UInt8 or Datatypes.Bool:
                TensorPrimitives.ConvertSaturating(bytes, values);
                break;
            default:
                throw new ProblemException(
                    ProblemCodes.ModelExecutionFailed,
                    $"The model's output '{output.Name}' is {output.Datatype.Name}, but its pipeline needs numbers. Register a version whose pipeline reads another output.", ("output", output.Name));
        }

        return values;
    }

    /// <summary>The failure of an output with NaN or infinite numbers.</summary>
    public static ProblemException NotFinite(string output, int row, string what) => new(
        ProblemCodes.ModelExecutionFailed,
        $"The model's output '{output}' is NaN or infinite in row {row}, so {what}. Check the input's values; if they are ordinary, the model itself is at fault.",
        ("output", output), ("row", row));

    /// <summary>The failure of an output that has another shape than the pipeline needs.</summary>
    public static ProblemException Misshapen(TensorBuffer output, string needed) => new(
        ProblemCodes.ModelExecutionFailed,
        $"The model's output '{output.Name}' has the shape {TensorBuffer.Describe(output.Shape)}, but its pipeline needs {needed}. Register a version with a pipeline that fits.",
        ("output", output.Name), ("shape", output.Shape));
}
