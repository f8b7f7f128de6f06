using System.Globalization;
using System.Text.RegularExpressions;
using QueueMaaS.Contracts;

namespace QueueMaaS.Data.Tables;

/// <summary>A table in memory, column by column. Values are texts as they were written; a missing one is null.</summary>
/// <param name="Format"><c>csv</c>, <c>parquet</c> or <c>jsonl</c>.</param>
/// <param name="Columns">In the order of the file.</param>
/// <param name="Splits">The split of each row: <c>train</c>, <c>test</c> or <c>val</c>, from the names of the files.</param>
public sealed record TableData(string Format, IReadOnlyList<TableField> Columns, string[] Splits)
{
    /// <summary>Rows.</summary>
    public int Rows => Splits.Length;

    /// <summary>A column by its name; null where there is none.</summary>
    public TableField? Find(string name) => Columns.FirstOrDefault(c => c.Name == name);

    /// <summary>A column by its name.</summary>
    /// <exception cref="ProblemException"><c>column_not_found</c>, naming the columns that there are.</exception>
    public TableField Require(string name, string member) => Find(name) ?? throw new ProblemException(
        ProblemCodes.ColumnNotFound,
        $"'{member}' names the column '{name}', which the table does not have. Its columns are {string.Join(", ", Columns.Take(30).Select(c => $"'{c.Name}'"))}{(Columns.Count > 30 ? ", …" : "")}.",
        ("column", name), ("path", member), ("columns", Columns.Take(100).Select(c => c.Name).ToArray()));
}

/// <summary>A column.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Values">A text for each row; null where it is missing.</param>
public sealed record TableField(string Name, string?[] Values)
{
    private ColumnInference? _inferred;

    /// <summary>What its values seem to be.</summary>
    public ColumnInference Inferred => _inferred ??= ColumnInference.Of(this);

    /// <summary>The number at a row.</summary>
    /// <exception cref="ProblemException"><c>column_invalid</c>, naming the row and the value.</exception>
    public double Number(int row) => TryNumber(Values[row], out var number) ? number : throw new ProblemException(
        ProblemCodes.ColumnInvalid,
        $"The column '{Name}' holds numbers, but row {row + 1} has '{Short(Values[row])}'{(Values[row] is { } text && ColumnInference.HasComma(text) ? ColumnInference.CommaRemedy : "")}. Repair the row, or set 'data.columns.{Name}.kind' to 'category'.",
        ("column", Name), ("row", row + 1), ("value", Short(Values[row])));

    /// <summary>Reads a finite number as it is written in English.</summary>
    public static bool TryNumber(string? text, out double number) => double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out number) && double.IsFinite(number);

    private static string Short(string? text) => text is null ? "" : text.Length <= 40 ? text : text[..40] + "…";
}

/// <summary>What a column's values seem to be.</summary>
/// <param name="Kind">A number where nine in ten values are; true/false where all are; else a category.</param>
/// <param name="Missing">Rows without a value.</param>
/// <param name="Distinct">Different values, counted up to 10,001.</param>
/// <param name="FirstMisfit">Numbers: the first row whose value is none; null where there is none. Of a column that would be one of numbers if commas were read as in them, the first row that has one.</param>
public sealed partial record ColumnInference(ColumnKind Kind, int Missing, int Distinct, int? FirstMisfit)
{
    private const int MostDistinct = 10_001;
    private const double NumberShare = 0.9;

    /// <summary>No number is longer.</summary>
    private const int MostNumber = 60;

    /// <summary>What to do about a comma, as the end of a sentence about a value.</summary>
    public const string CommaRemedy = ": a comma in a number may stand for the decimal point or between thousands, so it is not read. Write numbers with a decimal point and nothing between thousands (in Python: pandas.read_csv(…, sep=';', decimal=',').to_csv(…))";

    internal static ColumnInference Of(TableField field)
    {
        var (missing, numbers, commas, booleans) = (0, 0, 0, 0);
        int? misfit = null, comma = null;
        var distinct = new HashSet<string>(StringComparer.Ordinal);
        for (var row = 0; row < field.Values.Length; row++)
        {
            if (field.Values[row] is not { } value)
            {
                missing++;
                continue;
            }

            if (distinct.Count < MostDistinct)
                distinct.Add(value);
            if (TableField.TryNumber(value, out _))
                numbers++;
            else
                misfit ??= row;
            if (HasComma(value))
                (commas, comma) = (commas + 1, comma ?? row);
            if (value is "true" or "false" or "True" or "False" or "TRUE" or "FALSE")
                booleans++;
        }

        var given = field.Values.Length - missing;
        if (given > 0 && booleans == given)
            return new(ColumnKind.Boolean, missing, distinct.Count, null);
        if (given > 0 && numbers >= NumberShare * given)
            return new(ColumnKind.Number, missing, distinct.Count, misfit);
        // Whether 1,234 is a little over one or over a thousand, nobody can tell: it is said, not guessed.
        return new(ColumnKind.Category, missing, distinct.Count, numbers + commas >= NumberShare * given ? comma : null);
    }

    /// <summary>A number as it is written where the comma is the decimal point, or with commas between thousands.</summary>
    public static bool HasComma(string value) => value.Length <= MostNumber && value.Contains(',', StringComparison.Ordinal) && CommaNumber().IsMatch(value.AsSpan().Trim());

    [GeneratedRegex(@"^[+-]?(\d+,\d+|\d{1,3}(,\d{3})+(\.\d+)?|\d{1,3}(\.\d{3})+,\d+)([eE][+-]?\d+)?$", RegexOptions.ExplicitCapture | RegexOptions.CultureInvariant, 1000)]
    private static partial Regex CommaNumber();
}
