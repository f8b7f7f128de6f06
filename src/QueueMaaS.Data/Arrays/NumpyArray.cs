using System.Buffers.Binary;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.RegularExpressions;
using QueueMaaS.Contracts;

namespace QueueMaaS.Data.Arrays;

/// <summary>An array out of a .npy file.</summary>
/// <param name="Shape">Its axes.</param>
/// <param name="Values">The last axis fastest.</param>
/// <param name="Whole">True where the file holds whole numbers or true/false.</param>
public sealed partial record NumpyArray(IReadOnlyList<int> Shape, float[] Values, bool Whole)
{
    private const int MaxHeader = 1 << 16;

    /// <summary>Reads the format that numpy.save writes (version 1 to 3); numbers become single precision.</summary>
    /// <exception cref="ProblemException"><c>archive_invalid</c> or <c>too_large</c>.</exception>
    public static NumpyArray Read(Stream stream, string name, long maxBytes)
    {
        ArgumentNullException.ThrowIfNull(stream);
        try
        {
            var header = Header(stream, name);
            var type = Part(TypePart().Match(header), name, "type");
            if (FortranPart().Match(header).Groups["value"].Value != "False")
                throw Bad(name, "It is stored column by column. Save numpy.ascontiguousarray(array).");
            int[] shape = [.. Part(ShapePart().Match(header), name, "shape").Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).Select(s => int.Parse(s, NumberStyles.None, CultureInfo.InvariantCulture))];
            var count = shape.Aggregate(1L, (a, b) => checked(a * b));
            if (count > Math.Min(Array.MaxLength, maxBytes / sizeof(float)))
                throw new ProblemException(ProblemCodes.TooLarge, $"The array '{name}' has {count:N0} numbers, more than are read.", ("entry", name));
            return new(shape, Numbers(stream, type, (int)count, name), type is not ("<f4" or "<f8" or "<f2"));
        }
        catch (Exception e) when (e is EndOfStreamException or OverflowException or FormatException)
        {
            throw Bad(name, "It is cut short or damaged.", e);
        }
    }

    private static string Header(Stream stream, string name)
    {
        Span<byte> start = stackalloc byte[8];
        stream.ReadExactly(start);
        if (start[0] != 0x93 || !start[1..6].SequenceEqual("NUMPY"u8))
            throw Bad(name, "It does not begin as a .npy file does.");
        Span<byte> size = stackalloc byte[start[6] == 1 ? 2 : 4];
        stream.ReadExactly(size);
        var length = size.Length == 2 ? BinaryPrimitives.ReadUInt16LittleEndian(size) : BinaryPrimitives.ReadInt32LittleEndian(size);
        if (length is < 10 or > MaxHeader)
            throw Bad(name, "Its header is damaged.");
        var header = new byte[length];
        stream.ReadExactly(header);
        return Encoding.Latin1.GetString(header);
    }

    private static float[] Numbers(Stream stream, string type, int count, string name) => type switch
    {
        "<f4" => Convert<float>(stream, count, v => v),
        "<f8" => Convert<double>(stream, count, v => (float)v),
        "<f2" => Convert<Half>(stream, count, v => (float)v),
        "|u1" or "|b1" => Convert<byte>(stream, count, v => v),
        "|i1" => Convert<sbyte>(stream, count, v => v),
        "<i2" => Convert<short>(stream, count, v => v),
        "<u2" => Convert<ushort>(stream, count, v => v),
        "<i4" => Convert<int>(stream, count, v => v),
        "<u4" => Convert<uint>(stream, count, v => v),
        "<i8" => Convert<long>(stream, count, v => v),
        "<u8" => Convert<ulong>(stream, count, v => v),
        _ => throw Bad(name, $"It holds '{type}'; whole and floating numbers and true/false in little-endian order are read."),
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

    private static string Part(Match match, string name, string what) => match.Success ? match.Groups["value"].Value : throw Bad(name, $"Its header names no {what}.");

    private static ProblemException Bad(string name, string reason, Exception? inner = null) =>
        new(Problem.Create(ProblemCodes.ArchiveInvalid, $"The file '{name}' cannot be read as a NumPy array. {reason}", ("entry", name)), inner);

    [GeneratedRegex("'descr': *'(?<value>[^']+)'", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex TypePart();

    [GeneratedRegex("'fortran_order': *(?<value>True|False)", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex FortranPart();

    [GeneratedRegex(@"'shape': *\((?<value>[^)]*)\)", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex ShapePart();
}

/// <summary>Arrays to train on: one item for each place of the first axis.</summary>
/// <param name="Format"><c>npy</c> or <c>npz</c>.</param>
/// <param name="Inputs">What goes in.</param>
/// <param name="Targets">What is to come out, where it is an array of its own.</param>
public sealed record ArrayData(string Format, NumpyArray Inputs, NumpyArray? Targets);
