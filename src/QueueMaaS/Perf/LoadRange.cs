using System.Globalization;

namespace QueueMaaS.Perf;

/// <summary>Levels of load: <c>8</c>, <c>1,4,16</c>, <c>1:64</c> (doubling) or <c>10:50:10</c> (by steps).</summary>
internal static class LoadRange
{
    private const int MostLevels = 100;

    /// <exception cref="PerfException">It is not of that form.</exception>
    public static IReadOnlyList<double> Parse(string text, string option)
    {
        var bounds = text.Split(':');
        var levels = bounds.Length == 1
            ? [.. text.Split(',').Select(part => Number(part, text, option))]
            : bounds.Length <= 3 ? Between(Number(bounds[0], text, option), Number(bounds[1], text, option), bounds.Length == 3 ? Number(bounds[2], text, option) : null) : throw Bad(text, option);
        return levels.Count is > 0 and <= MostLevels ? levels : throw new PerfException($"{option} {text} makes {levels.Count} levels; from 1 to {MostLevels} can be measured.");
    }

    private static List<double> Between(double first, double last, double? step)
    {
        var levels = new List<double>();
        for (var level = first; level <= last && levels.Count <= MostLevels; level = step is { } by ? level + by : level * 2)
            levels.Add(level);
        return levels;
    }

    private static double Number(string part, string text, string option) =>
        double.TryParse(part.Trim(), NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var value) && value is > 0 and <= 1e7 ? value : throw Bad(text, option);

    private static PerfException Bad(string text, string option) => new($"{option} is `{text}`. Write 8, or 1,4,16, or 1:64 (doubling), or 10:50:10 (first:last:step), all above 0.");
}

/// <summary>What was asked for cannot be measured. Shown as one line.</summary>
internal sealed class PerfException(string message) : Exception(message);
