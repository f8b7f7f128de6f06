using System.Numerics;
using System.Runtime.InteropServices;
using QueueMaaS.Contracts;
using QueueMaaS.Inference.Tensors;

namespace QueueMaaS.Inference.Preparation;

/// <summary>Writes numbers that a pipeline computed as a tensor of the input's own datatype.</summary>
internal static class NumberWriter
{
    /// <summary>The datatypes that numbers can become.</summary>
    public static bool Takes(string datatype) => datatype is not Datatypes.Bytes;

    /// <summary>True where fractions would be lost.</summary>
    public static bool IsWhole(string datatype) => datatype is not (Datatypes.Fp16 or Datatypes.Fp32 or Datatypes.Fp64 or Datatypes.Bytes);

    /// <summary>A tensor of <paramref name="values"/>.</summary>
    /// <param name="input">The input that it feeds.</param>
    /// <param name="shape">Its shape.</param>
    /// <param name="values">The numbers.</param>
    /// <param name="refuse">Called with the index of a number that the datatype cannot hold.</param>
    public static TensorBuffer Write(TensorSignature input, long[] shape, ReadOnlySpan<double> values, Func<int, ProblemException> refuse)
    {
        var datatype = TensorDatatype.Find(input.Datatype)!;
        var bytes = GC.AllocateUninitializedArray<byte>(values.Length * datatype.Size);
        var bad = datatype.Name switch
        {
            Datatypes.Fp16 => Fill(bytes, values, static v => (Half)v, Half.IsFinite),
            Datatypes.Fp32 => Fill(bytes, values, static v => (float)v, float.IsFinite),
            Datatypes.Fp64 => Fill(bytes, values, static v => v, double.IsFinite),
            Datatypes.Bool => Whole(bytes, values, 0, 1, static v => (byte)v),
            Datatypes.UInt8 => Whole<byte>(bytes, values),
            Datatypes.UInt16 => Whole<ushort>(bytes, values),
            Datatypes.UInt32 => Whole<uint>(bytes, values),
            Datatypes.UInt64 => Whole(bytes, values, 0, MaxExact, static v => (ulong)v),
            Datatypes.Int8 => Whole<sbyte>(bytes, values),
            Datatypes.Int16 => Whole<short>(bytes, values),
            Datatypes.Int32 => Whole<int>(bytes, values),
            _ => Whole(bytes, values, -MaxExact, MaxExact, static v => (long)v),
        };
        return bad < 0 ? TensorBuffer.OfBytes(input.Name, datatype, shape, bytes) : throw refuse(bad);
    }

    // Beyond it doubles no longer tell whole numbers apart.
    private const double MaxExact = 9_007_199_254_740_992;

    private static int Fill<T>(byte[] bytes, ReadOnlySpan<double> values, Func<double, T> convert, Func<T, bool> holds)
        where T : unmanaged
    {
        var target = MemoryMarshal.Cast<byte, T>(bytes.AsSpan());
        for (var i = 0; i < values.Length; i++)
        {
            target[i] = convert(values[i]);
            if (!holds(target[i]))
                return i;
        }

        return -1;
    }

    private static int Whole<T>(byte[] bytes, ReadOnlySpan<double> values)
        where T : unmanaged, IBinaryInteger<T>, IMinMaxValue<T> => Whole(bytes, values, double.CreateChecked(T.MinValue), double.CreateChecked(T.MaxValue), T.CreateChecked);

    private static int Whole<T>(byte[] bytes, ReadOnlySpan<double> values, double least, double most, Func<double, T> convert)
        where T : unmanaged
    {
        var target = MemoryMarshal.Cast<byte, T>(bytes.AsSpan());
        for (var i = 0; i < values.Length; i++)
        {
            if (!(values[i] >= least && values[i] <= most && Math.Floor(values[i]).Equals(values[i])))
                return i;
            target[i] = convert(values[i]);
        }

        return -1;
    }
}
