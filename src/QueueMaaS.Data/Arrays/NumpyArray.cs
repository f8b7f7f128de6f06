using System.Diagnostics;
using System.Runtime.InteropServices;
using QueueMaaS.Contracts;

namespace QueueMaaS.Data.Arrays;

/// <summary>An array out of a .npy file.</summary>
/// <param name="Shape">Its axes.</param>
/// <param name="Values">The last axis fastest.</param>
/// <param name="Whole">True where the file holds whole numbers or true/false.</param>
public sealed record NumpyArray(IReadOnlyList<int> Shape, float[] Values, bool Whole)
{
    /// <summary>Reads the format that numpy.save writes (version 1 to 3); numbers become single precision.</summary>
    /// <exception cref="ProblemException"><c>archive_invalid</c> or <c>too_large</c>.</exception>
    public static NumpyArray Read(Stream stream, string name, long maxBytes)
    {
        ArgumentNullException.ThrowIfNull(stream);
        try
        {
            var header = NpyHeader.Decode(stream);
            int[] shape = [.. header.Shape.Select(static size => checked((int)size))];
            var count = shape.Aggregate(1L, (a, b) => checked(a * b));
            if (count > Math.Min(Array.MaxLength, maxBytes / sizeof(float)))
                throw new ProblemException(ProblemCodes.TooLarge, $"The array '{name}' has {count:N0} numbers, more than are read.", ("entry", name));
            return new(shape, Numbers(stream, header.Datatype, (int)count), header.Datatype is not (Datatypes.Fp32 or Datatypes.Fp64 or Datatypes.Fp16));
        }
        catch (InvalidDataException e)
        {
            throw Bad(name, e.Message, e);
        }
        catch (Exception e) when (e is EndOfStreamException or OverflowException)
        {
            throw Bad(name, "It is cut short or damaged.", e);
        }
    }

    private static float[] Numbers(Stream stream, string datatype, int count) => datatype switch
    {
        Datatypes.Fp32 => Convert<float>(stream, count, v => v),
        Datatypes.Fp64 => Convert<double>(stream, count, v => (float)v),
        Datatypes.Fp16 => Convert<Half>(stream, count, v => (float)v),
        Datatypes.UInt8 or Datatypes.Bool => Convert<byte>(stream, count, v => v),
        Datatypes.Int8 => Convert<sbyte>(stream, count, v => v),
        Datatypes.Int16 => Convert<short>(stream, count, v => v),
        Datatypes.UInt16 => Convert<ushort>(stream, count, v => v),
        Datatypes.Int32 => Convert<int>(stream, count, v => v),
        Datatypes.UInt32 => Convert<uint>(stream, count, v => v),
        Datatypes.Int64 => Convert<long>(stream, count, v => v),
        Datatypes.UInt64 => Convert<ulong>(stream, count, v => v),
        _ => throw new UnreachableException($"No NumPy header gives {datatype}."),
    };

    private static float[] Convert<T>(Stream stream, int count, Func<T, float> convert)
        where T : unmanaged
    {
        var values = new float[count];
        var buffer = new T[Math.Min(count, 1 << 16)];
        for (var at = 0; at < count; at += buffer.Length)
        {
            var part = buffer.AsSpan(0, Math.Min(buffer.Length, count - at));
            stream.ReadExactly(MemoryMarshal.AsBytes(part));
            for (var i = 0; i < part.Length; i++)
                values[at + i] = convert(part[i]);
        }

        return values;
    }

    private static ProblemException Bad(string name, string reason, Exception? inner = null) =>
        new(Problem.Create(ProblemCodes.ArchiveInvalid, $"The file '{name}' cannot be read as a NumPy array. {reason}", ("entry", name)), inner);
}

/// <summary>Arrays to train on: one item for each place of the first axis.</summary>
/// <param name="Format"><c>npy</c> or <c>npz</c>.</param>
/// <param name="Inputs">What goes in.</param>
/// <param name="Targets">What is to come out, where it is an array of its own.</param>
public sealed record ArrayData(string Format, NumpyArray Inputs, NumpyArray? Targets);
