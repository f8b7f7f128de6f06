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

/// <summary>Divides items: by category, or by the quarters of a number that has more than a few values.</summary>
internal static class Slicing
{
    private const int MostCategories = 50;

    /// <summary>Numbers of so many values or fewer are categories, as the columns of a table are.</summary>
    private const int MostValues = 10;

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
        double[] ascending = [.. given.Select(i => numbers[i]).Order()];
        double[] values = [.. ascending.Distinct()];
        // Where no value comes twice, a slice for each would be one for each item.
        List<Slice> slices = values.Length <= MostValues && (values.Length < given.Length || values.Length == 1)
            ? [.. values.Zip(Texts(values), (value, text) => new Slice(text, [.. given.Where(i => numbers[i] == value)]))]
            : given.Length > 0 ? Between([.. Enumerable.Range(0, 5).Select(q => Resampling.Quantile(ascending, q / 4.0))], numbers, given) : [];
        if (given.Length < items.Length)
            slices.Add(new(Missing, [.. items.Where(i => !double.IsFinite(numbers[i]))]));
        return slices;
    }

    /// <summary>The slices between edges. An edge that comes twice is a value that more than a quarter has: it is a slice of its own.</summary>
    private static List<Slice> Between(double[] edges, double[] numbers, int[] given)
    {
        double[] distinct = [.. edges.Distinct()];
        bool[] own = [.. distinct.Select(edge => edges.Count(e => e == edge) > 1)];
        var texts = Texts(distinct);
        var slices = new List<Slice>();
        for (var at = 0; at < distinct.Length; at++)
        {
            var low = distinct[at];
            if (own[at])
                slices.Add(new(texts[at], [.. given.Where(i => numbers[i] == low)]));
            if (at + 1 == distinct.Length)
                break;
            var (high, open, closed) = (distinct[at + 1], own[at], at + 2 == distinct.Length && !own[at + 1]);
            slices.Add(new(
                $"{(open ? '(' : '[')}{texts[at]}, {texts[at + 1]}{(closed ? ']' : ')')}",
                [.. given.Where(i => (open ? numbers[i] > low : numbers[i] >= low) && (closed ? numbers[i] <= high : numbers[i] < high))]));
        }

        return slices;
    }

    /// <summary>As short as they can be while no two are the same.</summary>
    private static string[] Texts(double[] distinct)
    {
        for (var digits = 4; digits < 16; digits++)
        {
            string[] texts = [.. distinct.Select(number => number.ToString($"0.{new string('#', digits)}", CultureInfo.InvariantCulture))];
            if (texts.Distinct(StringComparer.Ordinal).Count() == texts.Length)
                return texts;
        }

        return [.. distinct.Select(static number => number.ToString("R", CultureInfo.InvariantCulture))];
    }
}
