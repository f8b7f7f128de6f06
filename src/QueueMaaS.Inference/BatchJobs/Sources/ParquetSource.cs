using System.Buffers;
using System.Runtime.CompilerServices;
using QueueMaaS.Contracts;
using QueueMaaS.Data.Tables;
using QueueMaaS.Inference.Preparation;
using QueueMaaS.Inference.Preparation.Tables;
using QueueMaaS.Inference.Preparation.Texts;
using QueueMaaS.Inference.Tensors;

namespace QueueMaaS.Inference.BatchJobs.Sources;

/// <summary>The rows of a Parquet file. A row group is read column by column; of each column no more than the chunk's rows are kept.</summary>
internal sealed class ParquetSource : IItemSource
{
    private const long MinChunkRows = 8192;
    private const long MaxChunkRows = 1 << 16;
    private const int ColumnsAtOnce = 16;

    private readonly ParquetTable _table;
    private readonly RowMapper _mapper;
    private readonly ModelSignature _model;
    private readonly BatchInput _input;
    private readonly Dictionary<string, ColumnType> _types;

    /// <summary>The rows are single-precision numbers for the model's only input: they are put side by side as they are read.</summary>
    private readonly TensorSignature? _singles;

    private ParquetSource(ParquetTable table, RowMapper mapper, BatchInput input, ModelSignature signature)
    {
        _singles = mapper.IsPlain && signature.Inputs[0] is { Datatype: Datatypes.Fp32, Minimum: null, Shape.Count: 2 } only ? only : null;
        _model = signature;
        _table = table;
        _mapper = mapper;
        _input = input;
        _types = table.Columns.ToDictionary(static column => column.Name, static column => column.Type, StringComparer.Ordinal);
        foreach (var (name, kind) in mapper.Columns)
        {
            var expected = kind switch { ColumnKind.Number => ColumnType.Number, ColumnKind.Boolean => ColumnType.Boolean, _ => ColumnType.Text };
            if (_types.TryGetValue(name, out var type) && type != expected && !(kind == ColumnKind.Category && type == ColumnType.Number))
                throw new ProblemException(ProblemCodes.TableInvalid, $"Column `{name}` of the Parquet file holds {Plural(type)}, but the model needs {Plural(expected)} there.", ("column", name), ("given", type), ("expected", expected));
        }
    }

    /// <exception cref="ProblemException"><c>table_invalid</c>.</exception>
    public static async Task<ParquetSource> OpenAsync(string path, ServedModel model, LoadedTokenizer? tokenizer, BatchInput input, CancellationToken cancellationToken)
    {
        var table = await ParquetTable.OpenAsync(path, cancellationToken);
        try
        {
            return new(table, RowMapper.For(model, tokenizer, input, [.. table.Columns.Select(static column => column.Name)], "Parquet"), input, model.Signature);
        }
        catch
        {
            await table.DisposeAsync();
            throw;
        }
    }

    public async Task<SourceScan> ScanAsync(int stride, long limit, CancellationToken cancellationToken)
    {
        var count = Math.Min(limit, _table.RowGroups.Sum());
        var scan = new SourceScan(count, []) { Borders = Borders(count) };
        if (_input.IdColumn is not { } id)
            return scan;
        var (seen, number) = (new SeenIds(), 0L);
        for (var group = 0; group < _table.RowGroups.Count && number < count; group++)
        {
            foreach (var value in await TextsAsync(group, id, cancellationToken))
            {
                if (number++ < count)
                    seen.Add(value ?? "", number, "Row");
            }
        }

        return scan;
    }

    /// <summary>Chunks are whole row groups, as many small ones as come to some thousand rows: a column of a row group is read as a whole or not at all.</summary>
    private List<long> Borders(long count)
    {
        var (borders, end, open) = (new List<long>(), 0L, 0L);
        foreach (var rows in _table.RowGroups)
        {
            // One that is very large is read again for each of its parts, so that memory stays bounded.
            for (var left = rows; left > 0;)
            {
                var taken = Math.Min(left, MaxChunkRows);
                (left, end, open) = (left - taken, end + taken, open + taken);
                if (open < MinChunkRows && left == 0)
                    continue;
                borders.Add(end);
                open = 0;
            }
        }

        if (borders.Count == 0 || borders[^1] < count)
            borders.Add(Math.Max(count, end));
        return borders;
    }

    public async IAsyncEnumerable<ItemGroup> ReadAsync(long first, long offset, int count, int size, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var (begin, at, end) = (0L, first, first + count);
        // Groups of items do not stop at the borders of row groups: what is left of one is joined with the next.
        var rows = new List<Row>(size);
        for (var group = 0; group < _table.RowGroups.Count && at < end; begin += _table.RowGroups[group++])
        {
            var (from, to) = ((int)Math.Max(0, at - begin), (int)Math.Min(_table.RowGroups[group], end - begin));
            if (from >= to)
                continue;
            var columns = _singles is null ? await ReadColumnsAsync(group, from, to, cancellationToken) : await ReadSinglesAsync(group, from, to, cancellationToken);
            for (var row = 0; row < to - from; row++)
            {
                rows.Add(new(at++, columns, row));
                if (rows.Count < size && at < end)
                    continue;
                yield return Group(rows);
                rows.Clear();
            }
        }
    }

    public ValueTask DisposeAsync() => _table.DisposeAsync();

    private ItemGroup Group(List<Row> rows)
    {
        var items = new Item[rows.Count];
        for (var i = 0; i < items.Length; i++)
        {
            var (number, columns, row) = (rows[i].Number + 1, rows[i].Columns, rows[i].Index);
            items[i] = new(number, columns.Ids?[row], columns.Labels?[row], null, null);
        }

        // Copied, since the list is used again for the next group.
        var own = rows.ToArray();
        return GroupBuilder.Build(items, places =>
        {
            if (_singles is not null)
                return Singles(own, items, places);
            long[] numbers = [.. places.Select(i => items[i].Number)];
            if (!_mapper.IsPlain)
                return _mapper.Encode([.. places.Select(i => own[i].Columns.Cells(own[i].Index))], numbers);
            var width = _mapper.Columns.Count;
            var values = new double[places.Count * width];
            for (var i = 0; i < places.Count; i++)
            {
                for (var column = 0; column < width; column++)
                {
                    var value = own[places[i]].Columns.Numbers[column]![own[places[i]].Index];
                    if (double.IsNaN(value))
                        throw new ProblemException(ProblemCodes.RowInvalid, $"Row {numbers[i]} of the Parquet file: `{_mapper.Columns[column].Name}` is empty; a number is needed.", ("row", numbers[i]), ("column", _mapper.Columns[column].Name));
                    values[(i * width) + column] = value;
                }
            }

            return _mapper.EncodeNumbers(values, places.Count, numbers);
        });
    }

    private PreparedRequest Singles(Row[] rows, Item[] items, IReadOnlyList<int> places)
    {
        var width = _mapper.Columns.Count;
        var bytes = GC.AllocateUninitializedArray<byte>(places.Count * width * sizeof(float));
        var target = System.Runtime.InteropServices.MemoryMarshal.Cast<byte, float>(bytes.AsSpan());
        for (var i = 0; i < places.Count; i++)
        {
            var row = rows[places[i]].Columns.Singles.AsSpan(rows[places[i]].Index * width, width);
            row.CopyTo(target[(i * width)..]);
            // One look at the sum is enough for rows that are in order.
            if (!float.IsFinite(System.Numerics.Tensors.TensorPrimitives.SumOfMagnitudes<float>(row)))
                RequireFinite(row, items[places[i]].Number);
        }

        return InferenceRequestCheck.FromTable(_model, [TensorBuffer.OfBytes(_singles!.Name, TensorDatatype.Find(Datatypes.Fp32)!, [places.Count, width], bytes)]);
    }

    private void RequireFinite(ReadOnlySpan<float> row, long number)
    {
        for (var column = 0; column < row.Length; column++)
        {
            if (float.IsFinite(row[column]))
                continue;
            var name = _mapper.Columns[column].Name;
            throw new ProblemException(
                ProblemCodes.RowInvalid, $"Row {number} of the Parquet file: `{name}` {(float.IsNaN(row[column]) ? "is empty; a number is needed" : "is beyond single precision, which the model's input takes")}.", ("row", number), ("column", name));
        }
    }

    private async Task<Columns> ReadSinglesAsync(int group, int from, int to, CancellationToken cancellationToken)
    {
        var width = _mapper.Columns.Count;
        var columns = new Columns(0) { Singles = GC.AllocateUninitializedArray<float>(checked((to - from) * width)) };
        // As many columns at a time as fill a cache line of the row: one by one, each value would touch a line of its own.
        var block = new float[Math.Min(ColumnsAtOnce, width)][];
        for (var i = 0; i < block.Length; i++)
            block[i] = ArrayPool<float>.Shared.Rent((int)_table.RowGroups[group]);
        for (var first = 0; first < width; first += block.Length)
        {
            var count = Math.Min(block.Length, width - first);
            for (var i = 0; i < count; i++)
                await _table.ReadSinglesAsync(group, _mapper.Columns[first + i].Name, block[i].AsMemory(0, (int)_table.RowGroups[group]), cancellationToken);
            for (var row = from; row < to; row++)
            {
                var target = columns.Singles.AsSpan(((row - from) * width) + first, count);
                for (var i = 0; i < target.Length; i++)
                    target[i] = block[i][row];
            }
        }

        foreach (var column in block)
            ArrayPool<float>.Shared.Return(column);
        await ReadNamesAsync(columns, group, from, to, cancellationToken);
        return columns;
    }

    private async Task ReadNamesAsync(Columns columns, int group, int from, int to, CancellationToken cancellationToken)
    {
        columns.Ids = _input.IdColumn is { } id ? (await TextsAsync(group, id, cancellationToken))[from..to] : null;
        columns.Labels = _input.LabelColumn is { } label ? (await TextsAsync(group, label, cancellationToken))[from..to] : null;
    }

    private async Task<Columns> ReadColumnsAsync(int group, int from, int to, CancellationToken cancellationToken)
    {
        var columns = new Columns(_mapper.Columns.Count);
        for (var i = 0; i < _mapper.Columns.Count; i++)
        {
            var (name, kind) = _mapper.Columns[i];
            if (!_types.TryGetValue(name, out var type))
                continue;
            if (type == ColumnType.Number)
                columns.Numbers[i] = (await _table.ReadNumbersAsync(group, name, cancellationToken))[from..to];
            else if (kind == ColumnKind.Boolean)
                columns.Booleans[i] = (await _table.ReadBooleansAsync(group, name, cancellationToken))[from..to];
            else
                columns.Texts[i] = (await _table.ReadTextsAsync(group, name, cancellationToken))[from..to];
        }

        await ReadNamesAsync(columns, group, from, to, cancellationToken);
        return columns;
    }

    /// <summary>Ids and labels may be texts or whole numbers.</summary>
    private async Task<string?[]> TextsAsync(int group, string column, CancellationToken cancellationToken) => _types[column] == ColumnType.Number
        ? [.. (await _table.ReadNumbersAsync(group, column, cancellationToken)).Select(static number => double.IsNaN(number) ? null : CellValue.Of(number).WholeNumber ?? $"{number}")]
        : await _table.ReadTextsAsync(group, column, cancellationToken);

    private static string Plural(ColumnType type) => type switch { ColumnType.Number => "numbers", ColumnType.Text => "texts", ColumnType.Boolean => "truth values", _ => "values of a kind that is not read" };

    private readonly record struct Row(long Number, Columns Columns, int Index);

    /// <summary>The columns of some rows of a row group; of the three arrays at a place one is set, or none where the file lacks the column.</summary>
    private sealed class Columns(int count)
    {
        public double[]?[] Numbers { get; } = new double[]?[count];
        public string?[]?[] Texts { get; } = new string?[]?[count];
        public bool?[]?[] Booleans { get; } = new bool?[]?[count];

        /// <summary>All columns side by side, row by row, where they are single-precision numbers; then the arrays above are empty.</summary>
        public float[] Singles { get; init; } = [];
        public string?[]? Ids { get; set; }
        public string?[]? Labels { get; set; }

        public CellValue[] Cells(int row)
        {
            var cells = new CellValue[Numbers.Length];
            for (var i = 0; i < cells.Length; i++)
            {
                cells[i] = Numbers[i] is { } numbers ? double.IsNaN(numbers[row]) ? default : CellValue.Of(numbers[row])
                    : Texts[i] is { } texts ? CellValue.Of(texts[row])
                    : Booleans[i] is { } booleans ? CellValue.Of(booleans[row])
                    : default;
            }

            return cells;
        }
    }
}
