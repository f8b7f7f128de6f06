using System.Diagnostics;

namespace QueueMaaS.Bench;

/// <summary>What a closed loop of callers measured.</summary>
/// <param name="PerSecond">Requests answered in a second.</param>
/// <param name="MeanBatch">Rows computed together, on the mean over batches.</param>
/// <param name="P50">Median latency in milliseconds.</param>
/// <param name="P99">99 % of the requests took no longer, in milliseconds.</param>
/// <param name="BytesPerRequest">Managed memory allocated for each request.</param>
internal sealed record Measured(double PerSecond, double MeanBatch, double P50, double P99, double BytesPerRequest);

/// <summary>A closed loop: each caller sends its next request when it has the answer to the one before.</summary>
internal static class Load
{
    /// <summary>Runs <paramref name="callers"/> for <paramref name="seconds"/>. <paramref name="call"/> gets the caller and the number of its request, and gives the size of the batch that answered it, 0 where it was refused as it should be.</summary>
    public static async Task<Measured> RunAsync(int callers, double seconds, Func<int, int, ValueTask<int>> call)
    {
        var bytes = GC.GetTotalAllocatedBytes();
        var start = Stopwatch.GetTimestamp();
        var end = start + (long)(seconds * Stopwatch.Frequency);
        var all = await Task.WhenAll(Enumerable.Range(0, callers).Select(caller => Task.Run(() => CallAsync(caller, end, call))));
        var took = Stopwatch.GetElapsedTime(start).TotalSeconds;
        var latencies = all.SelectMany(own => own.Latencies).Order().ToArray();
        var answered = all.Sum(own => own.Answered);
        return new(
            answered / took, answered / Math.Max(1e-9, all.Sum(own => own.Batches)), At(latencies, 0.5), At(latencies, 0.99),
            (GC.GetTotalAllocatedBytes() - bytes) / (double)Math.Max(1, answered));
    }

    /// <summary>Measures A and B in turn, so that a machine that grows busy or idle does so for both, and gives the median of each by throughput.</summary>
    public static async Task<(Measured A, Measured B)> PairAsync(int rounds, Func<Task<Measured>> a, Func<Task<Measured>> b)
    {
        var (ofA, ofB) = (new List<Measured>(), new List<Measured>());
        for (var round = 0; round < rounds; round++)
        {
            ofA.Add(await a());
            ofB.Add(await b());
        }

        return (Median(ofA), Median(ofB));
    }

    private static Measured Median(List<Measured> all) => all.OrderBy(m => m.PerSecond).ElementAt(all.Count / 2);

    private static double At(double[] sorted, double share) => sorted.Length == 0 ? 0 : sorted[Math.Min(sorted.Length - 1, (int)(sorted.Length * share))];

    private static async Task<(List<double> Latencies, long Answered, double Batches)> CallAsync(int caller, long end, Func<int, int, ValueTask<int>> call)
    {
        // One latency in sixteen is kept: enough for percentiles, and little beside the requests' own memory.
        var latencies = new List<double>(1 << 16);
        var (answered, batches) = (0L, 0.0);
        for (var i = 0; Stopwatch.GetTimestamp() < end; i++)
        {
            var begun = Stopwatch.GetTimestamp();
            var size = await call(caller, i);
            if (size == 0)
                continue;
            answered++;
            // A row in a batch of n is 1/n of a batch, so the sum over all rows counts the batches.
            batches += 1.0 / size;
            if ((i & 15) == 0)
                latencies.Add(Stopwatch.GetElapsedTime(begun).TotalMilliseconds);
        }

        return (latencies, answered, batches);
    }
}
