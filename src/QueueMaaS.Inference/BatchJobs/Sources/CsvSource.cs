using System.Runtime.CompilerServices;
using QueueMaaS.Contracts;
using QueueMaaS.Data.Tables;
using QueueMaaS.Inference.Preparation.Tables;
using QueueMaaS.Inference.Preparation.Texts;

namespace QueueMaaS.Inference.BatchJobs.Sources;

/// <summary>The records of a CSV file whose first line names the columns.</summary>
internal sealed class CsvSource : IItemSource
{
    private readonly string _path;
    private readonly char _delimiter;
    private readonly IReadOnlyList<string> _header;
    private readonly RowMapper _mapper;
    private readonly int _id;
    private readonly int _label;
    private readonly int[] _places;

    private CsvSource(string path, char delimiter, IReadOnlyList<string> header, RowMapper mapper, BatchInput input)
    {
        _path = path;
        _delimiter = delimiter;
        _header = header;
        _mapper = mapper;
        _id = IndexOf(input.IdColumn);
        _label = IndexOf(input.LabelColumn);
        _places = [.. mapper.Columns.Select(column => IndexOf(column.Name))];
    }

    /// <exception cref="ProblemException"><c>table_invalid</c>.</exception>
    public static async Task<CsvSource> OpenAsync(string path, ServedModel model, LoadedTokenizer? tokenizer, BatchInput input, CancellationToken cancellationToken)
    {
        // The delimiter is not known before the header is read: any will do to find the end of that line.
        await foreach (var record in CsvRecords.ReadAsync(path, 0, ',', cancellationToken))
        {
            var delimiter = CsvRecords.DelimiterOf(record.Bytes);
            var header = record.Bytes is null ? null : CsvRecords.Split(record.Bytes, delimiter);
            if (header is null)
                throw new ProblemException(ProblemCodes.TableInvalid, "The first line of the CSV file cannot be read as its columns' names: it is no UTF-8, longer than 16 MiB, or a quote is not closed. If the file is no CSV, name its `format`.", ("line", 1));
            var twice = header.GroupBy(static name => name, StringComparer.Ordinal).FirstOrDefault(static group => group.Count() > 1);
            if (twice is not null)
                throw new ProblemException(ProblemCodes.TableInvalid, $"The CSV file names the column `{twice.Key}` {twice.Count()} times. Give each a name of its own.", ("column", twice.Key));
            return new(path, delimiter, header, RowMapper.For(model, tokenizer, input, header, "CSV"), input);
        }

        throw new ProblemException(ProblemCodes.DatasetEmpty, "The CSV file is empty.");
    }

    public async Task<SourceScan> ScanAsync(int stride, long limit, CancellationToken cancellationToken)
    {
        var (count, offsets, ids, header) = (0L, new List<long>(), _id < 0 ? null : new SeenIds(), true);
        await foreach (var record in CsvRecords.ReadAsync(_path, 0, _delimiter, cancellationToken))
        {
            if (header)
            {
                header = false;
                continue;
            }

            if (count >= limit)
                break;
            if (count % stride == 0)
                offsets.Add(record.Offset);
            count++;
            // What cannot be split has no id to compare: it fails when its turn comes.
            if (ids is not null && record.Bytes is not null && CsvRecords.Split(record.Bytes, _delimiter) is { } fields && fields.Count == _header.Count)
                ids.Add(fields[_id], count, "Row");
        }

        return new(count, offsets);
    }

    public async IAsyncEnumerable<ItemGroup> ReadAsync(long first, long offset, int count, int size, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var records = new List<CsvRecord>(size);
        var at = first;
        await foreach (var record in CsvRecords.ReadAsync(_path, offset, _delimiter, cancellationToken))
        {
            records.Add(record);
            if (records.Count < size && at + records.Count < first + count)
                continue;
            yield return Group(records, at);
            at += records.Count;
            records.Clear();
            if (at >= first + count)
                yield break;
        }

        if (records.Count > 0)
            yield return Group(records, at);
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private ItemGroup Group(List<CsvRecord> records, long first)
    {
        var items = new Item[records.Count];
        var cells = new CellValue[records.Count][];
        for (var i = 0; i < items.Length; i++)
        {
            var number = first + i + 1;
            items[i] = new(number, null, null, null, null);
            var (fields, error) = Fields(records[i], number);
            if (fields is null)
            {
                items[i] = items[i] with { Error = error };
                continue;
            }

            items[i] = items[i] with { OwnId = _id < 0 ? null : fields[_id], Label = _label < 0 || fields[_label].Length == 0 ? null : fields[_label] };
            cells[i] = [.. _places.Select((place, column) => place < 0 ? default : CellValue.Of(fields[place], _mapper.Columns[column].Kind))];
        }

        return GroupBuilder.Build(items, places => _mapper.Encode([.. places.Select(i => (CellValue[])cells[i].Clone())], [.. places.Select(i => items[i].Number)]));
    }

    private (List<string>? Fields, Problem? Error) Fields(CsvRecord record, long number)
    {
        if (record.Bytes is null)
            return (null, Problem.Create(ProblemCodes.TooLarge, $"Row {number} of the CSV file is longer than {CsvRecords.MaxRecordBytes >> 20} MiB.", ("row", number)));
        if (CsvRecords.Split(record.Bytes, _delimiter) is not { } fields)
        {
            return (null, Problem.Create(
                ProblemCodes.RowInvalid, record.OpenQuote ? $"Row {number} of the CSV file opens a quote that is never closed." : $"Row {number} of the CSV file cannot be split into fields: it is no UTF-8, or a quote stands where none may.", ("row", number)));
        }

        return fields.Count == _header.Count
            ? (fields, null)
            : (null, Problem.Create(ProblemCodes.RowInvalid, $"Row {number} of the CSV file has {fields.Count} fields, but the header names {_header.Count} columns.", ("row", number), ("given", fields.Count), ("expected", _header.Count)));
    }

    private int IndexOf(string? name)
    {
        for (var i = 0; i < _header.Count; i++)
        {
            if (_header[i] == name)
                return i;
        }

        return -1;
    }
}
