using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Unicode;

namespace QueueMaaS.Data.Tables;

/// <summary>
/// Finds the records of a CSV file (RFC 4180) with their places, so that a reader can begin in the middle and one bad record spoils no other: quotes may hold line breaks, lines end in LF or CRLF, a byte
/// order mark is skipped. The libraries for CSV read fields well but tell no places in the file, which is why the splitting is our own.
/// </summary>
public static class CsvRecords
{
    /// <summary>A longer record is given without its content.</summary>
    public const int MaxRecordBytes = 16 << 20;

    /// <summary>The records that are not blank, from a place where one begins.</summary>
    /// <param name="path">The file.</param>
    /// <param name="from">Where to begin: 0, or the offset of a record.</param>
    /// <param name="delimiter">Between fields.</param>
    /// <param name="cancellationToken">Stops between blocks.</param>
    public static async IAsyncEnumerable<CsvRecord> ReadAsync(string path, long from, char delimiter, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0, useAsync: true);
        file.Position = from;
        var buffer = new byte[1 << 17];
        var record = new MemoryStream();
        var (start, position, place) = (from, from, Place.FieldStart);
        int read;
        while ((read = await file.ReadAsync(buffer, cancellationToken)) > 0)
        {
            var begin = 0;
            for (var i = 0; i < read; i++)
            {
                place = Next(place, buffer[i], (byte)delimiter);
                if (place != Place.RecordEnd)
                    continue;
                Keep(record, buffer.AsSpan(begin, i - begin));
                if (Trim(record, start) is { } text)
                    yield return new CsvRecord(start, text.Length > MaxRecordBytes ? null : text);
                record.SetLength(0);
                (begin, start, place) = (i + 1, position + i + 1, Place.FieldStart);
            }

            Keep(record, buffer.AsSpan(begin, read - begin));
            position += read;
        }

        if (Trim(record, start) is { } rest)
            yield return new CsvRecord(start, rest.Length > MaxRecordBytes ? null : rest) { OpenQuote = place == Place.Quoted };
    }

    /// <summary>The fields of a record; null where a quote is not closed or stands where none may, or where the bytes are no UTF-8.</summary>
    /// <param name="record">The record without its line end.</param>
    /// <param name="delimiter">Between fields.</param>
    public static List<string>? Split(ReadOnlySpan<byte> record, char delimiter)
    {
        if (!Utf8.IsValid(record))
            return null;
        var text = Encoding.UTF8.GetString(record);
        var fields = new List<string>();
        var at = 0;
        while (true)
        {
            if (at < text.Length && text[at] == '"')
            {
                var field = new StringBuilder();
                for (at++; ; at++)
                {
                    var quote = text.IndexOf('"', at);
                    if (quote < 0)
                        return null;
                    field.Append(text, at, quote - at);
                    at = quote + 1;
                    if (at >= text.Length || text[at] != '"')
                        break;
                    field.Append('"');
                }

                if (at < text.Length && text[at] != delimiter)
                    return null;
                fields.Add(field.ToString());
            }
            else
            {
                var end = text.IndexOf(delimiter, at);
                end = end < 0 ? text.Length : end;
                fields.Add(text[at..end]);
                at = end;
            }

            if (at >= text.Length)
                return fields;
            at++;
        }
    }

    /// <summary>The delimiter that a header line uses: the one of comma, semicolon and tab that it has most of.</summary>
    public static char DelimiterOf(ReadOnlySpan<byte> header)
    {
        var (commas, semicolons, tabs) = (header.Count((byte)','), header.Count((byte)';'), header.Count((byte)'\t'));
        return tabs > commas && tabs >= semicolons ? '\t' : semicolons > commas ? ';' : ',';
    }

    private enum Place
    {
        FieldStart,
        Field,
        Quoted,
        QuoteInQuoted,
        RecordEnd,
    }

    /// <summary>A quote opens a field only at its start; within an open one it closes it, or stands for itself where it is doubled.</summary>
    private static Place Next(Place place, byte next, byte delimiter) => place switch
    {
        Place.Quoted => next == (byte)'"' ? Place.QuoteInQuoted : Place.Quoted,
        Place.QuoteInQuoted when next == (byte)'"' => Place.Quoted,
        Place.FieldStart when next == (byte)'"' => Place.Quoted,
        _ => next == (byte)'\n' ? Place.RecordEnd : next == delimiter ? Place.FieldStart : Place.Field,
    };

    private static void Keep(MemoryStream record, ReadOnlySpan<byte> bytes)
    {
        // One byte over the limit is kept, to show that it is over.
        var room = MaxRecordBytes + 1 - (int)record.Length;
        if (room > 0)
            record.Write(bytes.Length > room ? bytes[..room] : bytes);
    }

    private static byte[]? Trim(MemoryStream record, long start)
    {
        var bytes = record.GetBuffer().AsSpan(0, (int)record.Length);
        if (start == 0 && bytes.StartsWith("\uFEFF"u8))
            bytes = bytes[3..];
        if (bytes.EndsWith("\r"u8))
            bytes = bytes[..^1];
        return bytes.Trim(" \t"u8).IsEmpty ? null : bytes.ToArray();
    }
}

/// <summary>A record of a CSV file.</summary>
/// <param name="Offset">Where it begins.</param>
/// <param name="Bytes">Its bytes without the line end; null where there are too many.</param>
public readonly record struct CsvRecord(long Offset, byte[]? Bytes)
{
    /// <summary>True for the last record where the file ends within a quote.</summary>
    public bool OpenQuote { get; init; }
}
