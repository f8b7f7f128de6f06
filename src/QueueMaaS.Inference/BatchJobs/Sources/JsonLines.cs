using System.Runtime.CompilerServices;

namespace QueueMaaS.Inference.BatchJobs.Sources;

/// <summary>Reads a JSONL file line by line with the place of each line, so that a chunk can begin in the middle.</summary>
internal static class JsonLines
{
    /// <summary>A longer line is given without its content.</summary>
    public const int MaxLineBytes = 16 << 20;

    /// <summary>The lines that are not blank, from the stream's place, where one begins.</summary>
    public static async IAsyncEnumerable<JsonLine> ReadAsync(Stream file, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var from = file.Position;
        var buffer = new byte[1 << 17];
        var line = new MemoryStream();
        var (start, position) = (from, from);
        int read;
        while ((read = await file.ReadAsync(buffer, cancellationToken)) > 0)
        {
            var begin = 0;
            while (buffer.AsSpan(begin, read - begin).IndexOf((byte)'\n') is >= 0 and var length)
            {
                Keep(line, buffer.AsSpan(begin, length));
                if (Trim(line) is { } text)
                    yield return new(start, text.Length > MaxLineBytes ? null : text);
                line.SetLength(0);
                begin += length + 1;
                start = position + begin;
            }

            Keep(line, buffer.AsSpan(begin, read - begin));
            position += read;
        }

        if (Trim(line) is { } rest)
            yield return new(start, rest.Length > MaxLineBytes ? null : rest);
    }

    private static void Keep(MemoryStream line, ReadOnlySpan<byte> bytes)
    {
        // One byte over the limit is kept, to show that it is over.
        var room = MaxLineBytes + 1 - (int)line.Length;
        if (room > 0)
            line.Write(bytes.Length > room ? bytes[..room] : bytes);
    }

    private static byte[]? Trim(MemoryStream line)
    {
        var bytes = line.GetBuffer().AsSpan(0, (int)line.Length);
        if (bytes.StartsWith("\uFEFF"u8))
            bytes = bytes[3..];
        bytes = bytes.Trim(" \t\r"u8);
        return bytes.IsEmpty ? null : bytes.ToArray();
    }
}

/// <summary>A line of a JSONL file.</summary>
/// <param name="Offset">Where it begins.</param>
/// <param name="Bytes">What is in it; null where it is too long.</param>
internal readonly record struct JsonLine(long Offset, byte[]? Bytes);
