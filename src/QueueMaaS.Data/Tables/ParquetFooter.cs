using System.Buffers.Binary;

namespace QueueMaaS.Data.Tables;

/// <summary>
/// Looks at the footer of a Parquet file before the library reads it, which believes that each field is of the type that it should be, and never comes back from numbers that go on behind the end. The footer is a structure in
/// <see href="https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md">Thrift's compact protocol</see>, its fields and their types are those of
/// <see href="https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift">Parquet's metadata</see>.
/// </summary>
internal static class ParquetFooter
{
    private const int Tail = 8;
    private const int Deepest = 32;

    /// <summary>Version, schema, number of rows and row groups: the first fields of the file's metadata.</summary>
    private const int Required = 4;

    private static readonly Expected Number32 = new(ThriftType.Int32), Number64 = new(ThriftType.Int64), Text = new(ThriftType.Binary), Truth = new(ThriftType.True), Any = new(ThriftType.Struct);
    private static readonly Expected Pair = Struct((1, Text), (2, Text));

    private static readonly Expected LogicalType = Struct(
        [.. Enumerable.Range(1, 18).Select(static id => (id, id switch
        {
            5 => Struct((1, Number32), (2, Number32)),
            7 or 8 => Struct((1, Truth), (2, Any)),
            10 => Struct((1, new(ThriftType.Byte)), (2, Truth)),
            _ => Any,
        }))]);

    private static readonly Expected Column = Struct(
        [.. Fields(Number32, 1, 2, 3, 5, 6, 7, 8, 9), (4, Text), (10, LogicalType)]);

    private static readonly Expected Statistics = Struct([.. Fields(Text, 1, 2, 5, 6), .. Fields(Number64, 3, 4), .. Fields(Truth, 7, 8)]);

    private static readonly Expected ChunkData = Struct(
        [.. Fields(Number32, 1, 4, 15), .. Fields(Number64, 5, 6, 7, 9, 10, 11, 14), (2, List(Number32)), (3, List(Text)), (8, List(Pair)), (12, Statistics), (13, List(Struct(Fields(Number32, 1, 2, 3))))]);

    private static readonly Expected Chunk = Struct([(1, Text), .. Fields(Number64, 2, 4, 6), (3, ChunkData), .. Fields(Number32, 5, 7), (8, Any), (9, Text)]);

    private static readonly Expected RowGroup = Struct(
        [(1, List(Chunk)), .. Fields(Number64, 2, 3, 5, 6), (4, List(Struct((1, Number32), (2, Truth), (3, Truth)))), (7, new(ThriftType.Int16))]);

    private static readonly Expected File = Struct((1, Number32), (2, List(Column)), (3, Number64), (4, List(RowGroup)), (5, List(Pair)), (6, Text), (7, List(Any)), (8, Any), (9, Text));

    /// <summary>Checks the footer and goes back to the beginning.</summary>
    /// <exception cref="InvalidDataException">The file has no footer, or one that is not whole.</exception>
    public static void Check(Stream file)
    {
        Span<byte> tail = stackalloc byte[Tail];
        if (file.Length < Tail)
            throw new InvalidDataException("It is too short to have a footer.");
        file.Seek(-Tail, SeekOrigin.End);
        file.ReadExactly(tail);
        var length = BinaryPrimitives.ReadInt32LittleEndian(tail);
        if (!tail[4..].SequenceEqual("PAR1"u8) || length <= 0 || length > file.Length - Tail)
            throw new InvalidDataException("It has no footer.");
        var footer = new byte[length];
        file.Seek(-Tail - length, SeekOrigin.End);
        file.ReadExactly(footer);
        file.Seek(0, SeekOrigin.Begin);
        var rest = (ReadOnlySpan<byte>)footer;
        SkipFields(ref rest, File, 0);
    }

    private static void Skip(ref ReadOnlySpan<byte> rest, ThriftType type, Expected? expected, int depth)
    {
        if (expected is not null && Wire(type) != Wire(expected.Type))
            throw new InvalidDataException("Its footer has a field of another type than Parquet's.");
        if (depth > Deepest)
            throw new InvalidDataException("Its footer is nested too deep.");
        switch (type)
        {
            case ThriftType.True or ThriftType.False or ThriftType.Byte:
                Take(ref rest, 1);
                break;
            case ThriftType.Int16 or ThriftType.Int32 or ThriftType.Int64:
                Number(ref rest);
                break;
            case ThriftType.Double:
                Take(ref rest, sizeof(double));
                break;
            case ThriftType.Binary:
                Take(ref rest, Size(ref rest));
                break;
            case ThriftType.List or ThriftType.Set:
                var head = Take(ref rest, 1)[0];
                for (var left = head >> 4 == 15 ? Size(ref rest) : head >> 4; left > 0; left--)
                    Skip(ref rest, (ThriftType)(head & 15), expected?.Element, depth + 1);
                break;
            case ThriftType.Map:
                var entries = Size(ref rest);
                var types = entries > 0 ? Take(ref rest, 1)[0] : (byte)0;
                for (; entries > 0; entries--)
                {
                    Skip(ref rest, (ThriftType)(types >> 4), null, depth + 1);
                    Skip(ref rest, (ThriftType)(types & 15), null, depth + 1);
                }

                break;
            case ThriftType.Struct:
                SkipFields(ref rest, expected, depth);
                break;
            default:
                throw new InvalidDataException("Its footer has a field of no known type.");
        }
    }

    private static void SkipFields(ref ReadOnlySpan<byte> rest, Expected? expected, int depth)
    {
        var (id, required) = (0L, ReferenceEquals(expected, File) ? Required : 0);
        while (Take(ref rest, 1)[0] is var field and not 0)
        {
            // A number of its own (zigzag), where the field does not follow closely on the one before.
            var next = field >> 4 == 0 ? Zigzag(Number(ref rest)) : id + (field >> 4);
            // Thrift allows any order, but every writer of Parquet keeps this one; what does not is no structure at all.
            if (next <= id || next > short.MaxValue)
                throw new InvalidDataException("Its footer has fields in no order.");
            id = next;
            required -= ReferenceEquals(expected, File) && id <= Required ? 1 : 0;
            var type = (ThriftType)(field & 15);
            var known = expected?.Fields?.GetValueOrDefault(id);
            // Truth values of fields stand in their type.
            if (type is not (ThriftType.True or ThriftType.False))
                Skip(ref rest, type, known, depth + 1);
            else if (known is not null && Wire(known.Type) != ThriftType.True)
                throw new InvalidDataException("Its footer has a field of another type than Parquet's.");
        }

        if (required > 0)
            throw new InvalidDataException("Its footer does not say what columns and rows there are.");
    }

    private static long Zigzag(ulong number) => (long)(number >> 1) ^ -(long)(number & 1);

    private static ThriftType Wire(ThriftType type) => type == ThriftType.False ? ThriftType.True : type;

    private static Expected Struct(params (int Id, Expected Type)[] fields) => new(ThriftType.Struct) { Fields = fields.ToDictionary(static field => (long)field.Id, static field => field.Type) };

    private static Expected List(Expected element) => new(ThriftType.List) { Element = element };

    private static (int Id, Expected Type)[] Fields(Expected type, params int[] ids) => [.. ids.Select(id => (id, type))];

    private static int Size(ref ReadOnlySpan<byte> rest) =>
        Number(ref rest) is var size && size <= (ulong)rest.Length ? (int)size : throw new InvalidDataException("Its footer promises more than it has.");

    private static ulong Number(ref ReadOnlySpan<byte> rest)
    {
        const int MostBits = 64;
        var number = 0UL;
        for (var shift = 0; shift < MostBits; shift += 7)
        {
            var part = Take(ref rest, 1)[0];
            number |= (ulong)(part & 0x7F) << shift;
            if (part < 0x80)
                return number;
        }

        throw new InvalidDataException("Its footer has a number without an end.");
    }

    private static ReadOnlySpan<byte> Take(ref ReadOnlySpan<byte> rest, int count)
    {
        if (count > rest.Length)
            throw new InvalidDataException("Its footer ends too soon.");
        var taken = rest[..count];
        rest = rest[count..];
        return taken;
    }

    /// <summary>What Parquet says of a field; what it does not name may be anything.</summary>
    private sealed record Expected(ThriftType Type)
    {
        public IReadOnlyDictionary<long, Expected>? Fields { get; init; }

        public Expected? Element { get; init; }
    }

    private enum ThriftType
    {
        True = 1,
        False,
        Byte,
        Int16,
        Int32,
        Int64,
        Double,
        Binary,
        List,
        Set,
        Map,
        Struct,
    }
}
