using System.Globalization;

namespace QueueMaaS.Inference.Evaluation.Statistics;

/// <summary>What items are divided by. One of <see cref="Texts"/> and <see cref="Numbers"/> is given.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Texts">The category of each item; null where it is missing.</param>
/// <param name="Numbers">The number of each item; NaN where it is missing.</param>
/// <param name="Known">The categories of the whole data set, the most frequent first.</param>
internal sealed record SliceColumn(string Name, string?[]? Texts, double[]? Numbers, IReadOnlyList<string> Known);

/// <summary>A part of the items.</summary>
internal readonly record struct Slice(string Name, int[] Items);

/// <summary>Divides items: by category, or by the quarters of a number.</summary>
internal static class Slicing
{
    private const int MostCategories = 50;
    private const string Others = "(other)";
    private const string Missing = "(missing)";

    /// <summary>The slices, empty ones among them.</summary>
    /// <param name="column">What they are divided by.</param>
    /// <param name="items">The items.</param>
    public static IReadOnlyList<Slice> Divide(SliceColumn column, int[] items) => column.Numbers is { } numbers ? Quarters(numbers, items) : Categories(column, items);

    private static List<Slice> Categories(SliceColumn column, int[] items)
    {
        var own = column.Known.Take(MostCategories).ToHashSet(StringComparer.Ordinal);
        var found = items.ToLookup(i => column.Texts![i] is not { } text ? Missing : own.Contains(text) ? text : Others, StringComparer.Ordinal);
        var slices = column.Known.Take(MostCategories).Select(name => new Slice(name, [.. found[name]])).ToList();
        foreach (var rest in (string[])[Others, Missing])
        {
            if (!own.Contains(rest) && found.Contains(rest))
                slices.Add(new(rest, [.. found[rest]]));
        }

        return slices;
    }

    private static List<Slice> Quarters(double[] numbers, int[] items)
    {
        int[] given = [.. items.Where(i => double.IsFinite(numbers[i]))];
        var slices = new List<Slice>();
        if (given.Length > 0)
        {
            double[] ascending = [.. given.Select(i => numbers[i]).Order()];
            double[] edges = [.. Enumerable.Range(0, 5).Select(q => Resampling.Quantile(ascending, q / 4.0))];
            for (var q = 0; q < 4; q++)
            {
                var (low, high, last) = (edges[q], edges[q + 1], q == 3);
                slices.Add(new($"[{Text(low)}, {Text(high)}{(last ? "]" : ")")}", [.. given.Where(i => numbers[i] >= low && (numbers[i] < high || last))]));
            }
        }

        if (given.Length < items.Length)
            slices.Add(new(Missing, [.. items.Where(i => !double.IsFinite(numbers[i]))]));
        return slices;
    }

    private static string Text(double number) => number.ToString("0.####", CultureInfo.InvariantCulture);
}
