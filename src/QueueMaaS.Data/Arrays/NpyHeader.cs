using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using QueueMaaS.Contracts;

namespace QueueMaaS.Data.Arrays;

/// <summary>What stands at the head of a NumPy file (format versions 1.0 to 3.0; numpy.lib.format in NumPy's documentation).</summary>
/// <param name="Datatype">The elements, in the Open Inference Protocol's words.</param>
/// <param name="Shape">The size along each axis; empty for a scalar.</param>
/// <param name="DataOffset">Where the elements begin.</param>
public sealed partial record NpyHeader(string Datatype, IReadOnlyList<long> Shape, long DataOffset)
{
    private const int MaxHeaderBytes = 1 << 16;

    // A byte that no text begins with, then the name.
    private static ReadOnlySpan<byte> Magic => [0x93, (byte)'N', (byte)'U', (byte)'M', (byte)'P', (byte)'Y'];

    /// <summary>Bytes of one element.</summary>
    public int ElementSize => SizeOf(Datatype);

    /// <summary>The first axis; 1 for a scalar.</summary>
    public long Rows => Shape.Count == 0 ? 1 : Shape[0];

    /// <summary>Elements of one entry of the first axis.</summary>
    public long RowElements => Shape.Skip(1).Aggregate(1L, static (product, size) => checked(product * size));

    /// <summary>True where a file begins as NumPy's do.</summary>
    public static bool IsNpy(ReadOnlySpan<byte> head) => head.StartsWith(Magic);

    /// <summary>Reads the head of <paramref name="stream"/>, which stands at its beginning.</summary>
    /// <exception cref="ProblemException"><c>array_invalid</c>: no NumPy file, cut short, or of a kind that is not read (Fortran order, big-endian, pickled objects, texts, complex numbers).</exception>
    public static NpyHeader Read(Stream stream)
    {
        ArgumentNullException.ThrowIfNull(stream);
        try
        {
            return Decode(stream);
        }
        catch (InvalidDataException e)
        {
            throw Invalid(e.Message);
        }
    }

    /// <summary>The same, for readers that say in words of their own which file it was.</summary>
    /// <exception cref="InvalidDataException">Its message is the reason alone.</exception>
    internal static NpyHeader Decode(Stream stream)
    {
        Span<byte> start = stackalloc byte[12];
        var read = stream.ReadAtLeast(start[..10], 10, throwOnEndOfStream: false);
        if (read < 10 || !IsNpy(start))
            throw Malformed("It does not begin as a NumPy file does. Write it with numpy.save.");
        var version = start[6];
        int length, offset;
        if (version == 1)
        {
            (length, offset) = (BinaryPrimitives.ReadUInt16LittleEndian(start[8..]), 10);
        }
        else if (version is 2 or 3 && stream.ReadAtLeast(start[10..], 2, throwOnEndOfStream: false) == 2)
        {
            (length, offset) = (BinaryPrimitives.ReadInt32LittleEndian(start[8..]), 12);
        }
        else
        {
            throw Malformed($"Its format version {version}.{start[7]} is not known, or it was cut short.");
        }

        if (length is < 0 or > MaxHeaderBytes)
            throw Malformed($"Its header would have {length} bytes; the file is damaged.");
        var header = new byte[length];
        if (stream.ReadAtLeast(header, length, throwOnEndOfStream: false) < length)
            throw Malformed("It was cut short within its header.");
        return Parse(Encoding.UTF8.GetString(header), offset + length);
    }

    /// <summary>The head of a file with this shape and datatype, padded as NumPy pads it, so that the elements begin on a multiple of 64.</summary>
    public static byte[] Write(string datatype, IReadOnlyList<long> shape)
    {
        ArgumentNullException.ThrowIfNull(shape);
        var axes = string.Join(", ", shape) + (shape.Count == 1 ? "," : "");
        var text = $"{{'descr': '{DescriptionOf(datatype)}', 'fortran_order': False, 'shape': ({axes}), }}";
        var padded = ((10 + text.Length + 1 + 63) / 64 * 64) - 10;
        var bytes = new byte[10 + padded];
        Magic.CopyTo(bytes);
        (bytes[6], bytes[7]) = (1, 0);
        BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(8), (ushort)padded);
        bytes.AsSpan(10).Fill((byte)' ');
        Encoding.ASCII.GetBytes(text).CopyTo(bytes, 10);
        bytes[^1] = (byte)'\n';
        return bytes;
    }

    private static NpyHeader Parse(string text, long dataOffset)
    {
        var description = Description().Match(text);
        var order = Order().Match(text);
        var shape = ShapeText().Match(text);
        if (!order.Success || !shape.Success || !description.Success)
            throw Malformed("Its header is not of the form that NumPy writes (structured types are not read).");
        if (order.Groups["order"].Value == "True")
            throw Malformed("It is in Fortran order. Write it with numpy.save(file, numpy.ascontiguousarray(array)).");
        var sizes = shape.Groups["shape"].Value.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)
            .Select(static size => long.TryParse(size.TrimEnd('L'), NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : throw Malformed("Its shape cannot be read.")).ToArray();
        try
        {
            _ = sizes.Aggregate(1L, static (product, size) => checked(product * size));
        }
        catch (OverflowException)
        {
            throw Malformed("Its shape is larger than any file.");
        }

        return new(DatatypeOf(description.Groups["type"].Value), sizes, dataOffset);
    }

    private static string DatatypeOf(string description)
    {
        if (description.StartsWith('>') && description.Length > 2 && !description.EndsWith('1'))
            throw Malformed($"Its elements '{description}' are big-endian. Write it with array.astype(array.dtype.newbyteorder('<')).");
        return description.TrimStart('<', '|', '=', '>') switch
        {
            "f2" => Datatypes.Fp16,
            "f4" => Datatypes.Fp32,
            "f8" => Datatypes.Fp64,
            "i1" => Datatypes.Int8,
            "i2" => Datatypes.Int16,
            "i4" => Datatypes.Int32,
            "i8" => Datatypes.Int64,
            "u1" => Datatypes.UInt8,
            "u2" => Datatypes.UInt16,
            "u4" => Datatypes.UInt32,
            "u8" => Datatypes.UInt64,
            "b1" => Datatypes.Bool,
            var other when other.StartsWith('O') => throw Malformed("It holds pickled Python objects, which are never read: they can run code. Convert it to an array of numbers."),
            var other => throw Malformed($"Its elements are of the type '{other}'; numbers and booleans are read (f2, f4, f8, i1 to i8, u1 to u8, b1)."),
        };
    }

    private static string DescriptionOf(string datatype) => datatype switch
    {
        Datatypes.Fp16 => "<f2",
        Datatypes.Fp32 => "<f4",
        Datatypes.Fp64 => "<f8",
        Datatypes.Int8 => "|i1",
        Datatypes.Int16 => "<i2",
        Datatypes.Int32 => "<i4",
        Datatypes.Int64 => "<i8",
        Datatypes.UInt8 => "|u1",
        Datatypes.UInt16 => "<u2",
        Datatypes.UInt32 => "<u4",
        Datatypes.UInt64 => "<u8",
        Datatypes.Bool => "|b1",
        _ => throw new ArgumentException($"{datatype} has no place in a NumPy file.", nameof(datatype)),
    };

    private static int SizeOf(string datatype) => datatype switch
    {
        Datatypes.Fp64 or Datatypes.Int64 or Datatypes.UInt64 => 8,
        Datatypes.Fp32 or Datatypes.Int32 or Datatypes.UInt32 => 4,
        Datatypes.Fp16 or Datatypes.Int16 or Datatypes.UInt16 => 2,
        _ => 1,
    };

    private static InvalidDataException Malformed(string reason) => new(reason);

    internal static ProblemException Invalid(string reason) => new(ProblemCodes.ArrayInvalid, $"The array file cannot be read. {reason}");

    [GeneratedRegex(@"'descr'\s*:\s*'(?<type>[^']+)'", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Description();

    [GeneratedRegex(@"'fortran_order'\s*:\s*(?<order>True|False)", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Order();

    [GeneratedRegex(@"'shape'\s*:\s*\((?<shape>[\d,\sL]*)\)", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex ShapeText();
}
