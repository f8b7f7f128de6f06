using System.Diagnostics;

namespace QueueMaaS.JobBench;

/// <summary>Calls at a given concurrency, and pairs of such measurements in turn, so that a machine that grows busy does so for both.</summary>
internal static class Turns
{
    /// <summary>Calls a second.</summary>
    public static async Task<double> RateAsync(int calls, int callers, Func<int, Task> call)
    {
        var next = -1;
        var started = Stopwatch.GetTimestamp();
        await Task.WhenAll(Enumerable.Range(0, callers).Select(_ => Task.Run(async () =>
        {
            int turn;
            while ((turn = Interlocked.Increment(ref next)) < calls)
                await call(turn);
        })));
        return calls / Stopwatch.GetElapsedTime(started).TotalSeconds;
    }

    /// <summary>A, B, A, B …; answers the medians, after a turn of each that does not count: the runtime compiles meanwhile.</summary>
    public static async Task<(double Ours, double Theirs)> MediansAsync(int turns, Func<Task<double>> ours, Func<Task<double>> theirs)
    {
        var figures = (Ours: new List<double>(), Theirs: new List<double>());
        for (var turn = 0; turn <= turns; turn++)
        {
            var (a, b) = (await ours(), await theirs());
            if (turn == 0)
                continue;
            figures.Ours.Add(a);
            figures.Theirs.Add(b);
        }

        return (Percentile(figures.Ours, 0.5), Percentile(figures.Theirs, 0.5));
    }

    public static double Percentile(IEnumerable<double> values, double share)
    {
        var sorted = values.Order().ToArray();
        return sorted[Math.Min(sorted.Length - 1, (int)(sorted.Length * share))];
    }
}
