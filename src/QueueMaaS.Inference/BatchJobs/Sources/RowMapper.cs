using QueueMaaS.Contracts;
using QueueMaaS.Inference.Preparation;
using QueueMaaS.Inference.Preparation.Tables;
using QueueMaaS.Inference.Preparation.Texts;

namespace QueueMaaS.Inference.BatchJobs.Sources;

/// <summary>
/// Brings the columns of a table to the model: to its table pipeline by their names, to its text pipeline, or, where it has neither, side by side as the numbers of its only input.
/// </summary>
internal sealed class RowMapper
{
    private readonly ServedModel _model;
    private readonly LoadedTokenizer? _tokenizer;
    private readonly TableEncoder? _table;
    private readonly string _what;

    private RowMapper(ServedModel model, LoadedTokenizer? tokenizer, TableEncoder? table, IReadOnlyList<(string, ColumnKind)> columns, string what)
    {
        _model = model;
        _tokenizer = tokenizer;
        _table = table;
        _what = what;
        Columns = columns;
    }

    /// <summary>The columns of the file that the model needs, with their kinds; a name that is not in the file stands for a column that is missing throughout.</summary>
    public IReadOnlyList<(string Name, ColumnKind Kind)> Columns { get; }

    /// <param name="model">The model version.</param>
    /// <param name="tokenizer">Of its text pipeline, where it has one.</param>
    /// <param name="input">Which columns are what.</param>
    /// <param name="header">The columns of the file.</param>
    /// <param name="what">The kind of file, for messages.</param>
    /// <exception cref="ProblemException"><c>table_invalid</c>: a column is missing, or there are too many or too few for the model.</exception>
    public static RowMapper For(ServedModel model, LoadedTokenizer? tokenizer, BatchInput input, IReadOnlyList<string> header, string what)
    {
        foreach (var (name, member) in new[] { (input.IdColumn, "idColumn"), (input.LabelColumn, "labelColumn") })
        {
            if (name is not null && !header.Contains(name, StringComparer.Ordinal))
                throw Missing(name, member, header, what);
        }

        if (model.Pipeline?.Table is { } table)
        {
            if (table.Columns.FirstOrDefault(c => c.Missing is null && !header.Contains(c.Name, StringComparer.Ordinal)) is { } lacking)
                throw Missing(lacking.Name, "the model's table pipeline", header, what);
            return new(model, null, TableEncoder.For(model.Signature, model.Pipeline), [.. table.Columns.Select(static c => (c.Name, c.Kind))], what);
        }

        if (model.Pipeline?.Text is not null)
        {
            var column = input.TextColumn ?? "text";
            return header.Contains(column, StringComparer.Ordinal)
                ? new(model, tokenizer, null, [(column, ColumnKind.Category)], what)
                : throw Missing(column, "textColumn", header, what);
        }

        return new(model, null, null, Numbers(model, input, header, what), what);
    }

    /// <summary>Makes one request of rows.</summary>
    /// <param name="cells">Rows, each with its cells in the order of <see cref="Columns"/>.</param>
    /// <param name="numbers">The place of each row in the input, from 1.</param>
    /// <exception cref="ProblemException"><c>row_invalid</c> or <c>text_invalid</c>.</exception>
    public PreparedRequest Encode(CellValue[][] cells, IReadOnlyList<long> numbers)
    {
        if (_table is not null)
            return InferenceRequestCheck.FromTable(_model.Signature, _table.Encode(cells, row => $"row {numbers[row]}"));
        if (_model.Pipeline?.Text is not null)
        {
            var texts = cells.Select((row, i) => row[0].IsText ? row[0].Text! : throw Refuse(numbers[i], Columns[0].Name, "is empty; a text is needed")).ToArray();
            return RaggedPadding.Pad(_model, InferenceRequestCheck.Prepare(_model.Signature, _model.Pipeline, new InferenceInput { Model = _model.Name, Texts = texts }, new RequestFiles { Tokenizer = _tokenizer }));
        }

        var width = Columns.Count;
        var values = new double[cells.Length * width];
        for (var row = 0; row < cells.Length; row++)
        {
            for (var column = 0; column < width; column++)
            {
                values[(row * width) + column] = cells[row][column] is { IsNumber: true } cell
                    ? cell.Number
                    : throw Refuse(numbers[row], Columns[column].Name, cells[row][column].IsMissing ? "is empty; a number is needed" : $"takes a number, not {cells[row][column].Describe()}");
            }
        }

        return EncodeNumbers(values, cells.Length, numbers);
    }

    /// <summary>True where rows are nothing but numbers for the model's only input, so that <see cref="EncodeNumbers"/> does.</summary>
    public bool IsPlain => _table is null && _model.Pipeline?.Text is null;

    /// <summary>Makes one request of rows that are numbers throughout.</summary>
    public PreparedRequest EncodeNumbers(ReadOnlySpan<double> values, int rows, IReadOnlyList<long> numbers)
    {
        var input = _model.Signature.Inputs[0];
        var width = Columns.Count;
        var copy = values.ToArray();
        long[] shape = input.Shape.Count == 1 ? [rows] : [rows, width];
        return InferenceRequestCheck.FromTable(_model.Signature, [NumberWriter.Write(input, shape, copy, at => Refuse(
            numbers[at / width], Columns[at % width].Name, $"is {copy[at]}, which the model's input '{input.Name}' ({input.Datatype}) cannot hold"))]);
    }

    private static (string, ColumnKind)[] Numbers(ServedModel model, BatchInput input, IReadOnlyList<string> header, string what)
    {
        if (model.Signature.Inputs is not [var only] || only.Datatype == Datatypes.Bytes || only.Shape.Count > 2)
            throw new ProblemException(ProblemCodes.RowInputUnsupported, $"Model `{model.Name}@{model.Version}` has no table or text pipeline and takes more than one row of numbers, so a {what} file cannot feed it. Register a version with a pipeline, or send JSON Lines with tensors.");
        var columns = input.Columns ?? [.. header.Where(name => name != input.IdColumn && name != input.LabelColumn)];
        if (columns.FirstOrDefault(name => !header.Contains(name, StringComparer.Ordinal)) is { } lacking)
            throw Missing(lacking, "columns", header, what);
        var expected = only.Shape.Count == 1 ? 1 : only.Shape[1];
        if (expected >= 0 && columns.Count != expected)
        {
            throw new ProblemException(
                ProblemCodes.TableInvalid, $"The model's input '{only.Name}' takes {expected} numbers, but the {what} file has {columns.Count} columns for it: {string.Join(", ", columns.Take(20).Select(static name => $"`{name}`"))}{(columns.Count > 20 ? ", …" : "")}. Name those that feed it, in its order, in the `columns` of the job, or register a version with a table pipeline, which names its columns.",
                ("expected", expected), ("given", columns.Count));
        }

        return [.. columns.Select(static name => (name, ColumnKind.Number))];
    }

    private ProblemException Refuse(long number, string column, string reason) =>
        new(ProblemCodes.RowInvalid, $"Row {number} of the {_what} file: `{column}` {reason}.", ("row", number), ("column", column));

    private static ProblemException Missing(string column, string named, IReadOnlyList<string> header, string what) => new(
        ProblemCodes.TableInvalid,
        $"The {what} file has no column `{column}`, which {(named.Contains(' ', StringComparison.Ordinal) ? named : $"`{named}`")} names; its columns are {string.Join(", ", header.Take(20).Select(static name => $"`{name}`"))}{(header.Count > 20 ? ", …" : "")}.",
        ("column", column));
}
