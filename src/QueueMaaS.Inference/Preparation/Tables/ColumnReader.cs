using QueueMaaS.Contracts;

namespace QueueMaaS.Inference.Preparation.Tables;

/// <summary>A value that a column refuses: where and why.</summary>
internal sealed class ColumnRefusal(string message) : Exception(message);

/// <summary>Turns one column's values into numbers.</summary>
internal sealed class ColumnReader(TableColumn column)
{
    private readonly Dictionary<string, int>? _categories = column.Categories?.Index().DistinctBy(c => c.Item, StringComparer.Ordinal).ToDictionary(c => c.Item, c => c.Index, StringComparer.Ordinal);

    /// <summary>How many numbers one value becomes.</summary>
    public int Width { get; } = column is { Kind: ColumnKind.Category, Encoding: CategoryEncoding.OneHot, Categories: { } categories }
        ? categories.Count + (column.Unknown == UnknownCategory.Reserved ? 1 : 0)
        : 1;

    /// <summary>Writes a value's numbers.</summary>
    /// <exception cref="ColumnRefusal">The value is not of the column's kind.</exception>
    public void Write(in CellValue value, Span<double> target)
    {
        switch (column.Kind)
        {
            case ColumnKind.Number:
                target[0] = Number(value);
                break;
            case ColumnKind.Boolean:
                target[0] = value.IsBoolean ? value.Number : throw new ColumnRefusal($"takes true or false, not {value.Describe()}");
                break;
            default:
                WriteCategory(value, target);
                break;
        }
    }

    /// <summary>The text of a category for an input that takes texts.</summary>
    public string Text(in CellValue value)
    {
        var text = Category(value);
        return _categories is null || column.Unknown != UnknownCategory.Error || _categories.ContainsKey(text) ? text : throw Unknown(text);
    }

    private double Number(in CellValue value)
    {
        if (!value.IsNumber)
            throw new ColumnRefusal($"takes a number, not {value.Describe()}");
        var number = value.Number;
        if (!double.IsFinite(number))
            throw new ColumnRefusal("takes a finite number; this one is beyond double precision");
        if (column.Least is { } least && number < least)
            number = least;
        if (column.Greatest is { } greatest && number > greatest)
            number = greatest;
        if (column.Log1p && number <= -1)
            throw new ColumnRefusal($"takes numbers over −1, whose logarithm of 1 + value exists, not {number}");
        if (column.Log1p)
            number = double.LogP1(number);
        return column is { Min: { } min, Max: { } max } ? (number - min) / (max - min) : (number - (column.Mean ?? 0)) / (column.Deviation ?? 1);
    }

    private void WriteCategory(in CellValue value, Span<double> target)
    {
        var text = Category(value);
        var known = _categories!.TryGetValue(text, out var index);
        if (!known && column.Unknown == UnknownCategory.Error)
            throw Unknown(text);
        if (!known)
            index = column.Categories!.Count;
        if (column.Encoding == CategoryEncoding.Index)
        {
            target[0] = index;
            return;
        }

        target.Clear();
        // Without a place of its own an unknown category leaves zeros.
        if (index < target.Length)
            target[index] = 1;
    }

    private static string Category(in CellValue value) =>
        value.IsText ? value.Text! : value.WholeNumber ?? throw new ColumnRefusal($"takes a text or a whole number, not {value.Describe()}");

    private ColumnRefusal Unknown(string text)
    {
        var some = string.Join(", ", column.Categories!.Take(10).Select(c => $"'{c}'"));
        return new($"does not know the category '{CellValue.Short(text)}'; it knows {some}{(column.Categories!.Count > 10 ? $" and {column.Categories.Count - 10} more" : "")}");
    }
}
