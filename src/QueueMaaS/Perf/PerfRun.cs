using System.Globalization;

namespace QueueMaaS.Perf;

/// <summary>Measures each level of load, or searches for the highest under a latency bound, and shows a table.</summary>
internal sealed class PerfRun(PerfSettings settings, ILoadTarget target)
{
    private const int MostSteps = 16;
    private readonly List<LevelResult> _results = [];

    /// <returns>Whether every level had answers without errors.</returns>
    public async Task<bool> RunAsync(CancellationToken cancellationToken)
    {
        Console.WriteLine($"{(settings.IsRate ? "rate/s" : "callers"),9} {"answers/s",11} {"p50 ms",9} {"p90 ms",9} {"p95 ms",9} {"p99 ms",9} {"mean batch",11} {"failed",8}");
        if (settings.LatencyBound is { } bound)
            await SearchAsync(bound, cancellationToken);
        else
            foreach (var level in settings.Levels)
                await MeasureAsync(level, cancellationToken);
        if (settings.Csv is { } file)
            await File.WriteAllLinesAsync(file, ["level,answers_per_second,p50_ms,p90_ms,p95_ms,p99_ms,mean_batch,requests,failed,stable", .. _results.Select(Line)], cancellationToken);
        return _results.All(result => result is { Failed: 0, Requests: > 0 });
    }

    /// <summary>Doubles the load from the first level until p99 is over the bound (or the last level is reached), then halves the gap.</summary>
    private async Task SearchAsync(TimeSpan bound, CancellationToken cancellationToken)
    {
        LevelResult? best = null;
        var (low, high) = (0.0, 0.0);
        for (var level = settings.Levels[0]; high == 0 && level <= settings.Levels[^1]; level *= 2)
            await TryAsync(level);
        for (var step = 0; step < MostSteps && high > 0 && high - low > Math.Max(settings.IsRate ? 0 : 1, low * 0.05); step++)
            await TryAsync(settings.IsRate ? (low + high) / 2 : Math.Floor((low + high) / 2));
        Console.WriteLine(best is null
            ? $"Even {settings.Levels[0]:0.##} {Unit} take longer than {bound.TotalMilliseconds:0.##} ms at p99."
            : $"The highest load with p99 within {bound.TotalMilliseconds:0.##} ms: {best.Level:0.##} {Unit}, {best.PerSecond:n0} answers/s.");

        async Task TryAsync(double level)
        {
            var result = await MeasureAsync(level, cancellationToken);
            // Load that the target cannot keep up with has no stable latency, whatever the windows showed.
            var within = result is { Failed: 0, Requests: > 0 } && result.P99 <= bound.TotalMilliseconds && (!settings.IsRate || result.PerSecond > level * 0.9);
            if (within)
                (low, best) = (level, result);
            else
                high = level;
        }
    }

    private string Unit => settings.IsRate ? "requests/s" : "callers";

    private async Task<LevelResult> MeasureAsync(double level, CancellationToken cancellationToken)
    {
        var result = await new LevelMeasurement(target, settings).RunAsync(level, cancellationToken);
        _results.Add(result);
        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{result.Level,9:0.##} {result.PerSecond,11:n0} {result.P50,9:0.00} {result.P90,9:0.00} {result.P95,9:0.00} {result.P99,9:0.00} {(result.MeanBatch > 0 ? result.MeanBatch.ToString("0.0", CultureInfo.InvariantCulture) : "?"),11} {result.Failed,8:n0}{(result.Stable ? "" : "  not stable")}{(result.FirstError is null ? "" : $"  {result.FirstError}")}"));
        return result;
    }

    private static string Line(LevelResult r) => string.Create(
        CultureInfo.InvariantCulture, $"{r.Level},{r.PerSecond:0.###},{r.P50:0.###},{r.P90:0.###},{r.P95:0.###},{r.P99:0.###},{r.MeanBatch:0.##},{r.Requests},{r.Failed},{(r.Stable ? "true" : "false")}");
}
