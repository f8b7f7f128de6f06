using System.Globalization;
using System.Text.Json;
using QueueMaaS.Contracts;

namespace QueueMaaS.Inference.Preparation.Tables;

/// <summary>What stands in one cell of a table, wherever the table comes from.</summary>
internal readonly record struct CellValue
{
    private enum Content : byte
    {
        Missing,
        Number,
        Text,
        Boolean,
        Other,
    }

    private Content Kind { get; init; }

    /// <summary>The number, or 1 for true.</summary>
    public double Number { get; private init; }

    /// <summary>The text; for what is neither text, number nor truth value, what it is.</summary>
    public string? Text { get; private init; }

    /// <summary>True where there is nothing.</summary>
    public bool IsMissing => Kind == Content.Missing;

    public bool IsNumber => Kind == Content.Number;

    public bool IsText => Kind == Content.Text;

    public bool IsBoolean => Kind == Content.Boolean;

    public static CellValue Of(double number) => new() { Kind = Content.Number, Number = number };

    public static CellValue Of(string? text) => text is null ? default : new() { Kind = Content.Text, Text = text };

    public static CellValue Of(bool? value) => value is { } known ? new() { Kind = Content.Boolean, Number = known ? 1 : 0 } : default;

    /// <summary>A member of a row in JSON.</summary>
    public static CellValue Of(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Undefined or JsonValueKind.Null => default,
        // A number beyond double precision stays one, so that it is refused for what it is.
        JsonValueKind.Number => Of(value.TryGetDouble(out var number) ? number : double.PositiveInfinity) with { Text = value.GetRawText() },
        JsonValueKind.String => Of(value.GetString()),
        JsonValueKind.True => Of((bool?)true),
        JsonValueKind.False => Of((bool?)false),
        JsonValueKind.Array => new() { Kind = Content.Other, Text = "an array" },
        _ => new() { Kind = Content.Other, Text = "an object" },
    };

    /// <summary>A field of a text file, which tells no kinds: it is read as the column's. An empty one is missing.</summary>
    public static CellValue Of(string field, ColumnKind kind)
    {
        if (field.Length == 0)
            return default;
        if (kind == ColumnKind.Number && double.TryParse(field, NumberStyles.Float, CultureInfo.InvariantCulture, out var number))
            return Of(number);
        if (kind == ColumnKind.Boolean)
        {
            if (field is "1" || field.Equals("true", StringComparison.OrdinalIgnoreCase))
                return Of((bool?)true);
            if (field is "0" || field.Equals("false", StringComparison.OrdinalIgnoreCase))
                return Of((bool?)false);
        }

        return Of(field);
    }

    /// <summary>A whole number as it is written; null for another.</summary>
    public string? WholeNumber => IsNumber && Math.Floor(Number).Equals(Number) && Math.Abs(Number) < 1e15 ? ((long)Number).ToString(CultureInfo.InvariantCulture) : null;

    /// <summary>For messages.</summary>
    public string Describe() => Kind switch
    {
        Content.Text => $"the text '{Short(Text!)}'",
        Content.Number => Short(Text ?? Number.ToString(CultureInfo.InvariantCulture)),
        Content.Boolean => Number > 0 ? "true" : "false",
        _ => Text ?? "nothing",
    };

    public static string Short(string text) => text.Length <= 40 ? text : text[..40] + "…";
}
