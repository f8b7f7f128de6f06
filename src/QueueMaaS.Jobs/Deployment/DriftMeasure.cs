using System.Text.Json;
using QueueMaaS.Contracts;

namespace QueueMaaS.Jobs.Deployment;

/// <summary>Distances between what was served and the baseline.</summary>
public static class DriftMeasure
{
    // It has come back when it is clearly below the threshold, not when it wavers about it.
    private const double Back = 0.8;

    // No bin is so empty that a single row in it is infinitely surprising.
    private const double Prior = 0.5;

    /// <summary>The counts of the window of a moment and of the one before, over all workers.</summary>
    public static DriftData Sum(DriftBaseline baseline, IEnumerable<TrafficSummary> summaries, DateTimeOffset now)
    {
        ArgumentNullException.ThrowIfNull(baseline);
        string[] windows = [baseline.WindowOf(now), baseline.WindowOf(now - TimeSpan.FromSeconds(baseline.Settings.WindowSeconds))];
        long[][] counts = [.. baseline.Features.Select(static feature => new long[feature.Counts.Count])];
        var rows = 0L;
        foreach (var summary in summaries.Where(summary => windows.Contains(summary.Part, StringComparer.Ordinal)))
        {
            var counted = JsonSerializer.Deserialize<DriftData>(summary.Data, QueueMaaSJson.Relaxed)!;
            rows += counted.Rows;
            foreach (var (feature, own) in counts.Zip(counted.Counts))
            {
                for (var bin = 0; bin < Math.Min(feature.Length, own.Length); bin++)
                    feature[bin] += own[bin];
            }
        }

        return new(rows, counts);
    }

    /// <summary>Every feature, the furthest first.</summary>
    public static IReadOnlyList<FeatureDrift> Features(DriftBaseline baseline, DriftData served)
    {
        ArgumentNullException.ThrowIfNull(baseline);
        ArgumentNullException.ThrowIfNull(served);
        var enough = served.Rows >= baseline.Settings.MinRows;
        return [.. baseline.Features.Zip(served.Counts).Select(pair =>
        {
            var psi = served.Rows == 0 ? (double?)null : Psi(pair.First.Counts, pair.Second);
            return new FeatureDrift(pair.First.Name, pair.First.Categories is null ? "number" : "category", psi, served.Rows == 0 || pair.First.Categories is not null ? null : Ks(pair.First.Counts, pair.Second), enough && psi >= baseline.Settings.Threshold);
        }).OrderByDescending(static feature => feature.Psi ?? 0)];
    }

    /// <summary>What the distances make of the state before.</summary>
    public static DriftState Next(DriftState before, DriftBaseline baseline, DriftData served, IReadOnlyList<FeatureDrift> features)
    {
        ArgumentNullException.ThrowIfNull(baseline);
        ArgumentNullException.ThrowIfNull(served);
        if (served.Rows < baseline.Settings.MinRows)
            return before;
        if (features.Any(static feature => feature.Parted))
            return DriftState.Drifting;
        return before == DriftState.Drifting && features.Any(feature => feature.Psi > Back * baseline.Settings.Threshold) ? DriftState.Drifting : DriftState.Steady;
    }

    /// <summary>
    /// The population stability index, Σ (p − q) ln(p ÷ q), less its expectation where both are drawn from one distribution, (bins − 1)(1 ÷ n + 1 ÷ m) (Yurdakul and Naranjo, J. Risk Model Validation 14, 2020); no smaller than 0.
    /// </summary>
    public static double Psi(IReadOnlyList<long> baseline, IReadOnlyList<long> served)
    {
        ArgumentNullException.ThrowIfNull(baseline);
        ArgumentNullException.ThrowIfNull(served);
        var (n, m) = (baseline.Sum(), served.Sum());
        int[] used = [.. Enumerable.Range(0, baseline.Count).Where(bin => baseline[bin] + served[bin] > 0)];
        if (n == 0 || m == 0 || used.Length < 2)
            return 0;
        var sum = used.Sum(bin =>
        {
            var (q, p) = ((baseline[bin] + Prior) / (n + (Prior * used.Length)), (served[bin] + Prior) / (m + (Prior * used.Length)));
            return (p - q) * Math.Log(p / q);
        });
        return Math.Max(0, sum - ((used.Length - 1) * ((1.0 / n) + (1.0 / m))));
    }

    private static double Ks(IReadOnlyList<long> baseline, IReadOnlyList<long> served)
    {
        var (n, m, q, p, most) = ((double)Math.Max(1, baseline.Sum()), (double)Math.Max(1, served.Sum()), 0.0, 0.0, 0.0);
        for (var bin = 0; bin < baseline.Count; bin++)
        {
            q += baseline[bin] / n;
            p += served[bin] / m;
            most = Math.Max(most, Math.Abs(p - q));
        }

        return most;
    }
}
