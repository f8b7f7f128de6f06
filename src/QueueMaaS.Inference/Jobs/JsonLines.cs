using System.Runtime.CompilerServices;

namespace QueueMaaS.Inference.Jobs;

/// <summary>Reads a JSONL file line by line with the place of each line, so that a chunk can begin in the middle.</summary>
internal static class JsonLines
{
    private const int MaxLine = 16 * 1024 * 1024;

    /// <summary>Lines that are not blank, with their index from 0 and their offset; a null line is longer than 16 MiB.</summary>
    public static async IAsyncEnumerable<(int Index, long Offset, byte[]? Line)> ReadAsync(string path, long from, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, 1 << 17, useAsync: true);
        file.Position = from;
        var buffer = new byte[1 << 16];
        var line = new MemoryStream();
        var start = from;
        var position = from;
        var index = 0;
        int read;
        while ((read = await file.ReadAsync(buffer, cancellationToken)) > 0)
        {
            for (var i = 0; i < read; i++, position++)
            {
                if (buffer[i] != '\n')
                {
                    // A line over the limit is counted but not kept.
                    if (line.Length <= MaxLine)
                        line.WriteByte(buffer[i]);
                    continue;
                }

                if (Trim(line) is { Length: > 0 } text)
                    yield return (index++, start, text.Length > MaxLine ? null : text);
                line.SetLength(0);
                start = position + 1;
            }
        }

        if (Trim(line) is { Length: > 0 } rest)
            yield return (index, start, rest.Length > MaxLine ? null : rest);
    }

    private static byte[] Trim(MemoryStream line)
    {
        var bytes = line.GetBuffer().AsSpan(0, (int)line.Length);
        if (bytes.StartsWith("\uFEFF"u8))
            bytes = bytes[3..];
        return bytes.Trim(" \t\r"u8).ToArray();
    }
}
