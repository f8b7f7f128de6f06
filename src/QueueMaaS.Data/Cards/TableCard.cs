using QueueMaaS.Contracts;
using QueueMaaS.Data.Tables;

namespace QueueMaaS.Data.Cards;

/// <summary>Describes a table.</summary>
internal static class TableCard
{
    private static readonly string[] Targets = ["label", "target", "class", "y"];

    public static DatasetCard Of(TableData table)
    {
        // What is probably the target is shown as classes; a job may name another.
        var target = Targets.Select(table.Find).FirstOrDefault(c => c is not null) ?? table.Columns[^1];
        var classes = target.Inferred.Kind == ColumnKind.Number && target.Inferred.Distinct > 20 ? [] : Classes(target);
        return new(table.Format, table.Rows, classes, table.Splits.CountBy(s => s, StringComparer.Ordinal).ToDictionary(StringComparer.Ordinal), 0, 0, 0)
        {
            Columns = [.. table.Columns.Select(Describe)],
            Balance = classes.Count > 1 ? (double)classes.Min(c => c.Count) / classes.Max(c => c.Count) : null,
        };
    }

    private static List<ClassCount> Classes(TableField target) => target.Inferred.Distinct > 1_000
        ? []
        : [.. target.Values.OfType<string>().CountBy(v => v, StringComparer.Ordinal).OrderBy(c => c.Key, StringComparer.Ordinal).Select(c => new ClassCount(c.Key, c.Value))];

    private static string Misfit(int row, string value) => $"row {row} has '{(value.Length <= 60 ? value : value[..60] + "…")}'{(ColumnInference.HasComma(value) ? ColumnInference.CommaRemedy : ", which is no number")}";

    private static ColumnCard Describe(TableField column)
    {
        var inferred = column.Inferred;
        var card = new ColumnCard(column.Name, inferred.Kind, inferred.Missing, inferred.Distinct)
        {
            Fault = inferred.FirstMisfit is { } row ? Misfit(row + 1, column.Values[row]!) : null,
            Examples = [.. column.Values.OfType<string>().Distinct(StringComparer.Ordinal).Take(5).Select(v => v.Length <= 60 ? v : v[..60] + "…")],
        };
        if (inferred.Kind != ColumnKind.Number)
            return card;
        double[] numbers = [.. column.Values.Select(v => TableField.TryNumber(v, out var n) ? n : double.NaN).Where(double.IsFinite)];
        return numbers.Length == 0 ? card : card with { Least = numbers.Min(), Greatest = numbers.Max(), Mean = numbers.Average() };
    }
}
