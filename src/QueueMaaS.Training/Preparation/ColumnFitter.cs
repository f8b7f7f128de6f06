using System.Text.Json;
using QueueMaaS.Contracts;
using QueueMaaS.Data.Tables;

namespace QueueMaaS.Training.Preparation;

/// <summary>Finds out, on the training rows alone, how a column becomes numbers.</summary>
internal static class ColumnFitter
{
    private const int MostCategories = 10_000;

    public static TableColumn Fit(TableField field, ColumnPreparation settings, int[] train)
    {
        var kind = settings.Kind ?? field.Inferred.Kind;
        return kind switch
        {
            ColumnKind.Number => Number(field, settings, train),
            ColumnKind.Boolean => Boolean(field, settings, train),
            _ => Category(field, settings, train),
        };
    }

    private static TableColumn Number(TableField field, ColumnPreparation settings, int[] train)
    {
        // Every row is looked at, so that a text among numbers is found before the training begins.
        for (var row = 0; row < field.Values.Length; row++)
        {
            if (field.Values[row] is not null)
                _ = field.Number(row);
        }

        double[] numbers = [.. train.Where(r => field.Values[r] is not null).Select(field.Number).Order()];
        if (numbers.Length == 0)
            throw new ProblemException(ProblemCodes.ColumnInvalid, $"The column '{field.Name}' has no value in any training row. Put it into 'data.ignore'.", ("column", field.Name));
        double? least = null, greatest = null;
        if (settings.ClipQuantile is { } clip)
        {
            (least, greatest) = (Quantile(numbers, 1 - clip), Quantile(numbers, clip));
            numbers = [.. numbers.Select(n => Math.Clamp(n, least.Value, greatest.Value))];
        }

        JsonElement? missing = (settings.Missing ?? MissingValue.Median) switch
        {
            MissingValue.Median => JsonSerializer.SerializeToElement(Quantile(numbers, 0.5)),
            MissingValue.Mean => JsonSerializer.SerializeToElement(numbers.Average()),
            MissingValue.MostFrequent => JsonSerializer.SerializeToElement(numbers.CountBy(n => n).MaxBy(c => c.Value).Key),
            MissingValue.Zero => JsonSerializer.SerializeToElement(0),
            _ => null,
        };
        var column = new TableColumn { Name = field.Name, Kind = ColumnKind.Number, Least = least, Greatest = greatest, Missing = missing };
        var mean = numbers.Average();
        return (settings.Scaling ?? NumberScaling.Standardise) switch
        {
            NumberScaling.Standardise => column with { Mean = mean, Deviation = OrOne(Math.Sqrt(numbers.Average(n => (n - mean) * (n - mean)))) },
            NumberScaling.MinMax when numbers[^1] > numbers[0] => column with { Min = numbers[0], Max = numbers[^1] },
            NumberScaling.MinMax => column with { Mean = numbers[0] },
            NumberScaling.Robust => column with { Mean = Quantile(numbers, 0.5), Deviation = OrOne(Quantile(numbers, 0.75) - Quantile(numbers, 0.25)) },
            _ => column,
        };
    }

    private static TableColumn Boolean(TableField field, ColumnPreparation settings, int[] train)
    {
        for (var row = 0; row < field.Values.Length; row++)
        {
            if (field.Values[row] is { } value && Truth(value) is null)
                throw new ProblemException(ProblemCodes.ColumnInvalid, $"The column '{field.Name}' holds true or false, but row {row + 1} has '{value}'.", ("column", field.Name), ("row", row + 1));
        }

        var often = train.Select(r => Truth(field.Values[r])).OfType<bool>().CountBy(v => v).OrderByDescending(c => c.Value).ThenBy(c => c.Key).FirstOrDefault().Key;
        JsonElement? missing = settings.Missing switch
        {
            MissingValue.Refuse => null,
            MissingValue.Zero => JsonSerializer.SerializeToElement(false),
            _ => JsonSerializer.SerializeToElement(often),
        };
        return new() { Name = field.Name, Kind = ColumnKind.Boolean, Missing = missing };
    }

    private static TableColumn Category(TableField field, ColumnPreparation settings, int[] train)
    {
        var counts = train.Select(r => field.Values[r]).OfType<string>().CountBy(v => v, StringComparer.Ordinal).ToArray();
        if (counts.Length > MostCategories)
            throw new ProblemException(ProblemCodes.ColumnInvalid, $"The column '{field.Name}' has {counts.Length:N0} different values, too many for categories. Put it into 'data.ignore', or use it as 'data.text'.", ("column", field.Name), ("categories", counts.Length));
        List<string> categories = [.. counts.Select(c => c.Key).Order(StringComparer.Ordinal)];
        string? missing = settings.Missing switch
        {
            MissingValue.Refuse => null,
            MissingValue.Zero => "",
            _ => counts.OrderByDescending(c => c.Value).ThenBy(c => c.Key, StringComparer.Ordinal).Select(c => c.Key).FirstOrDefault() ?? "",
        };
        // What stands in for a missing value must be known itself.
        if (missing is not null && !categories.Contains(missing, StringComparer.Ordinal))
            categories.Insert(0, missing);
        return new()
        {
            Name = field.Name,
            Kind = ColumnKind.Category,
            Categories = categories,
            Encoding = settings.Encoding ?? CategoryEncoding.OneHot,
            Unknown = settings.Encoding == CategoryEncoding.Index ? UnknownCategory.Reserved : UnknownCategory.Zeros,
            Missing = missing is null ? null : JsonSerializer.SerializeToElement(missing),
        };
    }

    internal static bool? Truth(string? value) => value switch
    {
        "true" or "True" or "TRUE" or "1" => true,
        "false" or "False" or "FALSE" or "0" => false,
        _ => null,
    };

    /// <summary>Of sorted numbers, between two of them by their distance.</summary>
    private static double Quantile(double[] sorted, double share)
    {
        var at = share * (sorted.Length - 1);
        var (low, high) = ((int)Math.Floor(at), (int)Math.Ceiling(at));
        return sorted[low] + (at - low) * (sorted[high] - sorted[low]);
    }

    private static double OrOne(double deviation) => deviation > 0 ? deviation : 1;
}
