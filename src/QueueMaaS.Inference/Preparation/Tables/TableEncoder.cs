using System.Text.Json;
using QueueMaaS.Contracts;
using QueueMaaS.Inference.Tensors;

namespace QueueMaaS.Inference.Preparation.Tables;

/// <summary>Turns table rows into the model's inputs.</summary>
internal sealed class TableEncoder
{
    private readonly TablePreparation _table;
    private readonly ColumnReader[] _readers;
    private readonly CellValue[] _missing;
    private readonly Group[] _groups;
    private readonly Dictionary<string, int> _byName;

    private TableEncoder(ModelSignature signature, TablePreparation table)
    {
        _table = table;
        _missing = [.. table.Columns.Select(static c => c.Missing is { } missing ? CellValue.Of(missing) : default)];
        _readers = [.. table.Columns.Select(c => new ColumnReader(c))];
        _byName = table.Columns.Index().ToDictionary(c => c.Item.Name, c => c.Index, StringComparer.Ordinal);
        _groups = [.. signature.Inputs.Select(input => new Group(input, [.. table.Columns.Index().Where(c => InputOf(signature, table, c.Item) == input.Name).Select(c => c.Index)]))];
    }

    /// <summary>The encoder of a model.</summary>
    /// <exception cref="ProblemException"><c>row_input_unsupported</c>.</exception>
    public static TableEncoder For(ModelSignature signature, ModelPipeline? pipeline)
    {
        if (pipeline?.Table is not { } table)
            throw new ProblemException(ProblemCodes.RowInputUnsupported, "The model has no table pipeline. Send its inputs as tensors, or register a version with a pipeline for rows.");
        if (TablePipelineCheck.Find(signature, table) is { } fault)
            throw new ProblemException(ProblemCodes.RowInputUnsupported, $"The model's table pipeline does not fit it; register a version whose pipeline does. `{fault.Path}`: {fault.Message}", ("path", fault.Path));
        return new(signature, table);
    }

    /// <summary>The name of the input that a column feeds.</summary>
    public static string InputOf(ModelSignature signature, TablePreparation table, TableColumn column) => column.Input ?? table.Input ?? signature.Inputs[0].Name;

    /// <summary>The columns in their order.</summary>
    public IReadOnlyList<TableColumn> Columns => _table.Columns;

    /// <summary>Encodes rows.</summary>
    /// <param name="rows">Objects of column to value, or arrays in column order.</param>
    /// <param name="pathOf">The place of a row in the request, for messages.</param>
    /// <exception cref="ProblemException"><c>row_invalid</c>.</exception>
    public TensorBuffer[] Encode(IReadOnlyList<JsonElement> rows, Func<int, string> pathOf)
    {
        var cells = new CellValue[rows.Count][];
        for (var i = 0; i < rows.Count; i++)
            cells[i] = Cells(rows[i], pathOf(i));
        return Encode(cells, pathOf);
    }

    /// <summary>Encodes rows whose cells stand in the order of <see cref="Columns"/>.</summary>
    /// <exception cref="ProblemException"><c>row_invalid</c>.</exception>
    public TensorBuffer[] Encode(CellValue[][] cells, Func<int, string> pathOf)
    {
        for (var row = 0; row < cells.Length; row++)
            FillMissing(cells[row], row, pathOf);
        return [.. _groups.Select(group => group.Input.Datatype == Datatypes.Bytes ? Texts(group, cells, pathOf) : Numbers(group, cells, pathOf))];
    }

    private CellValue[] Cells(JsonElement row, string path)
    {
        var cells = new CellValue[_table.Columns.Count];
        if (row.ValueKind == JsonValueKind.Array)
        {
            if (row.GetArrayLength() != cells.Length)
                throw Refuse(path, $"has {row.GetArrayLength()} values, but the table has {cells.Length} columns: {Names()}. Give one for each, in this order, null where it is missing.");
            foreach (var (index, value) in row.EnumerateArray().Index())
                cells[index] = CellValue.Of(value);
        }
        else if (row.ValueKind == JsonValueKind.Object)
        {
            foreach (var member in row.EnumerateObject())
            {
                if (!_byName.TryGetValue(member.Name, out var index))
                    throw Refuse($"{path}.{member.Name}", $"is no column of the table. Its columns are {Names()}.");
                cells[index] = CellValue.Of(member.Value);
            }
        }
        else
        {
            throw Refuse(path, "is neither an object of column to value nor an array of values.");
        }

        return cells;
    }

    private void FillMissing(CellValue[] cells, int row, Func<int, string> pathOf)
    {
        for (var i = 0; i < cells.Length; i++)
        {
            if (cells[i].IsMissing)
                cells[i] = _missing[i] is { IsMissing: false } standIn ? standIn : throw Refuse($"{pathOf(row)}.{_table.Columns[i].Name}", "is missing, and the pipeline names nothing to stand in for it. Give a value.");
        }
    }

    private TensorBuffer Numbers(Group group, CellValue[][] cells, Func<int, string> pathOf)
    {
        var width = group.Columns.Sum(c => _readers[c].Width);
        var values = new double[cells.Length * width];
        var at = 0;
        for (var row = 0; row < cells.Length; row++)
        {
            foreach (var column in group.Columns)
            {
                try
                {
                    _readers[column].Write(cells[row][column], values.AsSpan(at, _readers[column].Width));
                }
                catch (ColumnRefusal refusal)
                {
                    throw Refuse($"{pathOf(row)}.{_table.Columns[column].Name}", $"{refusal.Message}.");
                }

                at += _readers[column].Width;
            }
        }

        return NumberWriter.Write(group.Input, Shape(group.Input, cells.Length, width), values, index =>
            Refuse($"{pathOf(index / width)}.{_table.Columns[ColumnAt(group, index % width)].Name}", $"becomes {values[index]}, which the model's input '{group.Input.Name}' ({group.Input.Datatype}) cannot hold."));
    }

    private TensorBuffer Texts(Group group, CellValue[][] cells, Func<int, string> pathOf)
    {
        var texts = new string[cells.Length * group.Columns.Length];
        for (var i = 0; i < texts.Length; i++)
        {
            var (row, column) = (i / group.Columns.Length, group.Columns[i % group.Columns.Length]);
            try
            {
                texts[i] = _readers[column].Text(cells[row][column]);
            }
            catch (ColumnRefusal refusal)
            {
                throw Refuse($"{pathOf(row)}.{_table.Columns[column].Name}", $"{refusal.Message}.");
            }
        }

        return TensorBuffer.OfTexts(group.Input.Name, Shape(group.Input, cells.Length, group.Columns.Length), texts);
    }

    private int ColumnAt(Group group, int offset)
    {
        foreach (var column in group.Columns)
        {
            if (offset < _readers[column].Width)
                return column;
            offset -= _readers[column].Width;
        }

        return group.Columns[^1];
    }

    private static long[] Shape(TensorSignature input, int rows, int width) => input.Shape.Count == 1 ? [rows] : [rows, width];

    private string Names() => string.Join(", ", _table.Columns.Take(20).Select(c => $"'{c.Name}'")) + (_table.Columns.Count > 20 ? ", …" : "");

    private static ProblemException Refuse(string path, string message) => new(ProblemCodes.RowInvalid, $"`{path}` {message}", ("path", path));

    /// <summary>An input with the columns that feed it.</summary>
    private sealed record Group(TensorSignature Input, int[] Columns);
}
