using System.Runtime.CompilerServices;
using QueueMaaS.Contracts;
using QueueMaaS.Data.Tables;
using QueueMaaS.Inference.BatchJobs.Sources;
using QueueMaaS.Inference.Evaluation.Statistics;
using QueueMaaS.Inference.Preparation.Tables;
using QueueMaaS.Inference.Preparation.Texts;

namespace QueueMaaS.Inference.Evaluation;

/// <summary>The rows of a table, or texts.</summary>
internal sealed class TableEvaluationSource : IEvaluationSource
{
    private const int MostDescribed = 12;
    private const int MostText = 200;
    private readonly TableData _table;
    private readonly TableTruth _truth;
    private readonly TokenizerCache _tokenizers;
    private readonly IReadOnlyList<string> _sliced;
    private readonly IReadOnlyList<string>? _fed;
    private readonly int[] _rows;

    /// <param name="table">The table.</param>
    /// <param name="split">The split, or <c>all</c>.</param>
    /// <param name="truth">What is true of its rows.</param>
    /// <param name="sliced">The columns that the items are divided by.</param>
    /// <param name="fed">The columns that feed a model of plain numbers; null: those that are left.</param>
    /// <param name="tokenizers">For text models.</param>
    public TableEvaluationSource(TableData table, string split, TableTruth truth, IReadOnlyList<string> sliced, IReadOnlyList<string>? fed, TokenizerCache tokenizers)
    {
        _table = table;
        _truth = truth;
        _sliced = sliced;
        _fed = fed;
        _tokenizers = tokenizers;
        _rows = [.. Enumerable.Range(0, table.Rows).Where(row => split == "all" || table.Splits[row] == split)];
    }

    public int Count => _rows.Length;

    public string? Target => string.Join(", ", _truth.Names);

    public async IAsyncEnumerable<EvaluationGroup> ReadAsync(ServedModel model, int size, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var tokenizer = model.Pipeline?.Text is { } text ? await _tokenizers.GetAsync(text, cancellationToken) : null;
        string[] header = [.. _table.Columns.Select(static c => c.Name)];
        // A request may leave out a column that has a value to stand in for it; a data set that has it nowhere is not the model's.
        if (model.Pipeline?.Table?.Columns.FirstOrDefault(c => !header.Contains(c.Name, StringComparer.Ordinal)) is { } lacking)
        {
            throw new ProblemException(
                ProblemCodes.TableInvalid,
                $"Model `{model.Name}@{model.Version}` reads the column `{lacking.Name}`, which the data set does not have; its columns are {string.Join(", ", header.Take(20).Select(static name => $"`{name}`"))}{(header.Length > 20 ? ", …" : "")}. Evaluate it on a data set with its columns.",
                ("column", lacking.Name));
        }

        var settings = new BatchInput { TextColumn = TableTruth.TextColumn(model.Card, header), Columns = NumberColumns(model, header) };
        var mapper = RowMapper.For(model, tokenizer, settings, header, "table");
        var fields = mapper.Columns.Select(c => _table.Find(c.Name)).ToArray();
        for (var at = 0; at < _rows.Length; at += size)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var places = Enumerable.Range(at, Math.Min(size, _rows.Length - at)).ToArray();
            var truths = Array.ConvertAll(places, place => _truth.Read(_rows[place], place));
            var items = places.Select((place, i) => new Item(place + 1, null, null, null, truths[i].Error)).ToArray();
            var group = GroupBuilder.Build(items, good => mapper.Encode(
                [.. good.Select(i => Cells(_rows[places[i]], fields, mapper.Columns))], [.. good.Select(i => (long)places[i] + 1)]));
            yield return new(group, [.. truths.Select(static truth => truth.Truth)], [.. truths.Select(static truth => truth.Error is not null)]);
        }
    }

    public IReadOnlyList<SliceColumn> Slices() => [.. _sliced.Select(name => SliceOf(_table.Require(name, "slices")))];

    public Task<ItemDescription> DescribeAsync(int place, CancellationToken cancellationToken) => Task.FromResult(new ItemDescription(null, null, _table.Columns
        .Where(column => !_truth.Holds(column) && column.Values[_rows[place]] is not null).Take(MostDescribed)
        .ToDictionary(static column => column.Name, column => column.Values[_rows[place]] is { Length: > MostText } value ? $"{value[..MostText]}…" : column.Values[_rows[place]]!, StringComparer.Ordinal)));

    private SliceColumn SliceOf(TableField column) => column.Inferred is { Kind: ColumnKind.Number, Distinct: > 10 }
        ? new(column.Name, null, [.. _rows.Select(row => TableField.TryNumber(column.Values[row], out var number) ? number : double.NaN)], [])
        : new(
            column.Name, [.. _rows.Select(row => column.Values[row])], null,
            [.. column.Values.OfType<string>().CountBy(static v => v, StringComparer.Ordinal).OrderByDescending(static c => c.Value).ThenBy(static c => c.Key, StringComparer.Ordinal).Select(static c => c.Key)]);

    /// <summary>For a model of plain numbers: those that were named, or all columns but the truth; where those are too many, those that it is not divided by.</summary>
    private IReadOnlyList<string>? NumberColumns(ServedModel model, string[] header)
    {
        if (model.Pipeline?.Table is not null || model.Pipeline?.Text is not null || model.Signature.Inputs is not [{ Shape: [_, var width] }])
            return null;
        if (_fed is not null)
            return _fed;
        string[] all = [.. header.Where(name => !_truth.Names.Contains(name, StringComparer.Ordinal))];
        return width < 0 || all.Length == width ? all : [.. all.Where(name => !_sliced.Contains(name, StringComparer.Ordinal))];
    }

    private static CellValue[] Cells(int row, TableField?[] fields, IReadOnlyList<(string Name, ColumnKind Kind)> columns)
    {
        var cells = new CellValue[fields.Length];
        for (var c = 0; c < cells.Length; c++)
            cells[c] = fields[c]?.Values[row] is { } value ? CellValue.Of(value, columns[c].Kind) : default;
        return cells;
    }
}
