using QueueMaaS.Contracts;
using QueueMaaS.Data.Tables;

namespace QueueMaaS.Training.Preparation;

/// <summary>Turns a table's rows into the numbers that serving makes of them; a test compares the two item by item.</summary>
internal sealed class ColumnEncoder
{
    private readonly TableField _field;
    private readonly TableColumn _column;
    private readonly Dictionary<string, int>? _categories;
    private readonly string? _missing;

    public ColumnEncoder(TableField field, TableColumn column)
    {
        _field = field;
        _column = column;
        _categories = column.Categories?.Index().ToDictionary(c => c.Item, c => c.Index, StringComparer.Ordinal);
        _missing = column.Missing is not { } missing ? null : missing.ValueKind == System.Text.Json.JsonValueKind.String ? missing.GetString() : missing.GetRawText();
        Width = column is { Kind: ColumnKind.Category, Encoding: CategoryEncoding.OneHot } ? column.Categories!.Count : 1;
    }

    /// <summary>How many numbers a value becomes.</summary>
    public int Width { get; }

    /// <summary>True for a number, which lies between others; false for a category or true/false, which does not.</summary>
    public bool IsNumber => _column.Kind == ColumnKind.Number;

    /// <summary>Whether a row can be used: it has a value, or something stands in for it.</summary>
    public bool Has(int row) => _field.Values[row] is not null || _missing is not null;

    /// <summary>Writes a row's numbers.</summary>
    public void Write(int row, Span<float> target)
    {
        var value = _field.Values[row] ?? _missing!;
        switch (_column.Kind)
        {
            case ColumnKind.Number:
                target[0] = (float)Scale(double.Parse(value, System.Globalization.CultureInfo.InvariantCulture));
                break;
            case ColumnKind.Boolean:
                target[0] = ColumnFitter.Truth(value) == true ? 1 : 0;
                break;
            default:
                var known = _categories!.TryGetValue(value, out var index);
                target.Clear();
                if (_column.Encoding == CategoryEncoding.Index)
                    target[0] = known ? index : _categories.Count;
                else if (known)
                    target[index] = 1;
                break;
        }
    }

    private double Scale(double number)
    {
        if (_column.Least is { } least && number < least)
            number = least;
        if (_column.Greatest is { } greatest && number > greatest)
            number = greatest;
        return _column is { Min: { } min, Max: { } max } ? (number - min) / (max - min) : (number - (_column.Mean ?? 0)) / (_column.Deviation ?? 1);
    }
}
