using System.Text.Json;
using QueueMaaS.Contracts;

namespace QueueMaaS.Jobs.Deployment;

/// <summary>What a version took and gave on the data of its baseline, in bins: what a monitor's watch keeps beside its settings.</summary>
/// <param name="Settings">When it has parted.</param>
/// <param name="Source">The data set and split.</param>
/// <param name="Rows">Rows summarised.</param>
/// <param name="Features">The features.</param>
public sealed record DriftBaseline(DriftSettings Settings, string Source, long Rows, IReadOnlyList<FeatureBins> Features)
{
    public static string OpenKeyOf(string model, int version) => $"drift/{model}@{version}";

    public static DriftBaseline Of(ModelWatch watch)
    {
        ArgumentNullException.ThrowIfNull(watch);
        return JsonSerializer.Deserialize<DriftBaseline>(watch.Definition, QueueMaaSJson.Relaxed)!;
    }

    /// <summary>What is counted apart.</summary>
    public string WindowOf(DateTimeOffset moment) => $"{(long)Math.Floor((moment - DateTimeOffset.UnixEpoch).TotalSeconds / Settings.WindowSeconds)}";
}

/// <summary>A feature's bins and how many rows of the baseline fell into each.</summary>
/// <param name="Name">The feature.</param>
/// <param name="Edges">Numbers: a bin ends at each, the edge belonging to the bin below; one bin is above the last, and one after it holds rows without a number.</param>
/// <param name="Categories">Categories: a bin for each, and one after them for everything else.</param>
/// <param name="Counts">Rows of the baseline.</param>
public sealed record FeatureBins(string Name, IReadOnlyList<double>? Edges, IReadOnlyList<string>? Categories, IReadOnlyList<long> Counts)
{
    private const int Tenths = 10;

    /// <summary>The bin of a number; of a category its index, below 0 for one that is not known.</summary>
    public int BinOf(double value)
    {
        if (Categories is { } known)
            return value >= 0 && value < known.Count ? (int)value : known.Count;
        if (double.IsNaN(value))
            return Counts.Count - 1;
        var (low, high) = (0, Edges!.Count);
        while (low < high)
        {
            var middle = (low + high) / 2;
            if (value <= Edges[middle])
                high = middle;
            else
                low = middle + 1;
        }

        return low;
    }

    /// <summary>Numbers in tenths, or a bin for each value where there are few.</summary>
    public static FeatureBins OfNumbers(string name, IReadOnlyCollection<double> values)
    {
        double[] sorted = [.. values.Where(static v => !double.IsNaN(v)).Order()];
        double[] distinct = [.. sorted.Distinct()];
        double[] edges = distinct.Length <= Tenths
            ? [.. distinct.Zip(distinct.Skip(1)).Select(static pair => pair.First + ((pair.Second - pair.First) / 2))]
            : [.. Enumerable.Range(1, Tenths - 1).Select(tenth => sorted[(int)Math.Ceiling((double)tenth / Tenths * sorted.Length) - 1]).Distinct()];
        return new FeatureBins(name, edges, null, new long[edges.Length + 2]).Count(values);
    }

    public static FeatureBins OfCategories(string name, IReadOnlyList<string> categories, IReadOnlyCollection<double> values)
    {
        ArgumentNullException.ThrowIfNull(categories);
        return new FeatureBins(name, null, categories, new long[categories.Count + 1]).Count(values);
    }

    private FeatureBins Count(IEnumerable<double> values)
    {
        var counts = new long[Counts.Count];
        foreach (var value in values)
            counts[BinOf(value)]++;
        return this with { Counts = counts };
    }
}

/// <summary>What a worker has counted in one window.</summary>
/// <param name="Rows">Rows.</param>
/// <param name="Counts">For each feature of the baseline, rows by bin.</param>
public sealed record DriftData(long Rows, IReadOnlyList<long[]> Counts);

/// <summary>How a monitor stands: what its watch keeps.</summary>
/// <param name="State">The state.</param>
/// <param name="Since">Since when.</param>
public sealed record DriftStanding(DriftState State, DateTimeOffset Since)
{
    public static DriftStanding Of(ModelWatch watch)
    {
        ArgumentNullException.ThrowIfNull(watch);
        return JsonSerializer.Deserialize<DriftStanding>(watch.Standing, QueueMaaSJson.Relaxed)!;
    }

    public string ToJson() => JsonSerializer.Serialize(this, QueueMaaSJson.Relaxed);
}
