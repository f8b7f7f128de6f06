using System.Globalization;
using System.Text.Json;
using QueueMaaS.Contracts;
using QueueMaaS.Training.Specification;

namespace QueueMaaS.Training.Sweeps;

/// <summary>The points that a sweep tries, in the order of its trials: a function of its settings alone.</summary>
internal static class SearchPoints
{
    /// <summary>How often a point that was drawn before is drawn again, where there are few to draw from.</summary>
    private const int MostDraws = 1_000;

    /// <exception cref="ProblemException"><c>search_invalid</c> or <c>sweep_too_large</c>.</exception>
    public static IReadOnlyList<IReadOnlyDictionary<string, JsonElement>> Of(SearchSettings search, int limit)
    {
        if (search.Space is not { Count: > 0 })
            throw new ProblemException(ProblemCodes.SearchInvalid, "`search.space` is empty, so there is nothing to vary. Name at least one field of the training, such as `\"learningRate\":{\"logUniform\":[0.0001,0.1]}`; to train without a search, submit a `training`.", ("path", "input.search.space"));
        SearchDimension[] dimensions = [.. search.Space.Select(field => SearchDimension.Of(field.Key, field.Value))];
        return search.Method == SearchMethod.Grid || search.FromGrid ? OfGrid(search, dimensions, limit) : Drawn(search, dimensions, limit);
    }

    private static IReadOnlyList<IReadOnlyDictionary<string, JsonElement>> OfGrid(SearchSettings search, SearchDimension[] dimensions, int limit)
    {
        if (Array.Find(dimensions, d => d.GridCount is null) is { } open)
            throw new ProblemException(ProblemCodes.SearchInvalid, $"The field `{open.Path.Text}` of `search.space` is a range, of which a grid takes some points: say how many by `points`, or list its `values`.", ("field", open.Path.Text), ("path", "input.search.space"));
        // Counted before anything is made: the product may be astronomical.
        var count = dimensions.Aggregate(1.0, (product, d) => product * d.GridCount!.Value);
        if (count > limit)
            throw TooLarge($"The grid has {count.ToString(count < 1e15 ? "N0" : "0.###e0", CultureInfo.InvariantCulture)} points ({string.Join(" × ", dimensions.Select(d => d.GridCount!.Value.ToString("N0", CultureInfo.InvariantCulture)))})", count, limit);
        JsonElement[][] values = [.. dimensions.Select(d => Enumerable.Range(0, (int)d.GridCount!.Value).Select(i => d.At(i)).DistinctBy(v => v.GetRawText()).ToArray())];
        var points = new IReadOnlyDictionary<string, JsonElement>[values.Aggregate(1, (product, v) => product * v.Length)];
        for (var i = 0; i < points.Length; i++)
        {
            // The last field changes fastest.
            var point = new JsonElement[values.Length];
            for (int d = values.Length - 1, rest = i; d >= 0; rest /= values[d].Length, d--)
                point[d] = values[d][rest % values[d].Length];
            points[i] = Named(dimensions, point);
        }

        if (!search.FromGrid)
            return points;
        Seeds.Generator(search.Seed ?? 0, "sweep grid").Shuffle(points);
        return search.Trials is { } trials && trials < points.Length ? points[..trials] : points;
    }

    private static List<IReadOnlyDictionary<string, JsonElement>> Drawn(SearchSettings search, SearchDimension[] dimensions, int limit)
    {
        var trials = search.Trials ?? throw new ProblemException(ProblemCodes.InvalidValue, $"`search.trials` must say how many trials a search of the method `{(search.Method == SearchMethod.Asha ? "asha" : "random")}` has.", ("path", "input.search.trials"));
        if (trials > limit)
            throw TooLarge($"The sweep has {trials.ToString("N0", CultureInfo.InvariantCulture)} trials", trials, limit);
        var count = dimensions.Aggregate(1.0, (product, d) => product * d.Count);
        if (trials > count)
            throw new ProblemException(ProblemCodes.SearchInvalid, $"`search.trials` is {trials}, but the space has only {count} different points. Ask for fewer trials, or search by `grid`.", ("path", "input.search.trials"), ("points", count));
        var points = new List<IReadOnlyDictionary<string, JsonElement>>(trials);
        var seen = new HashSet<string>(StringComparer.Ordinal);
        for (var trial = 1; trial <= trials; trial++)
        {
            for (var again = 0; ; again++)
            {
                JsonElement[] point = [.. dimensions.Select(d => d.Draw(search.Seed ?? 0, trial, again))];
                // A point that was drawn before tells nothing new; where nearly all have been, it is taken rather than drawn for ever.
                if (!seen.Add(string.Join('\n', point.Select(v => v.GetRawText()))) && again < MostDraws)
                    continue;
                points.Add(Named(dimensions, point));
                break;
            }
        }

        return points;
    }

    private static Dictionary<string, JsonElement> Named(SearchDimension[] dimensions, JsonElement[] values) =>
        dimensions.Zip(values).ToDictionary(pair => pair.First.Path.Text, pair => pair.Second, StringComparer.Ordinal);

    private static ProblemException TooLarge(string what, double count, int limit) => new(
        ProblemCodes.SweepTooLarge, $"{what}; this service allows {limit.ToString("N0", CultureInfo.InvariantCulture)} (`Sweeps:MaxTrials`). Take fewer values or points, or search by `random` or `asha` with fewer `trials`.", ("points", count), ("limit", limit));
}
