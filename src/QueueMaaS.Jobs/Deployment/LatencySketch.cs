namespace QueueMaaS.Jobs.Deployment;

/// <summary>
/// Durations in buckets whose bounds grow by 4 %, so that every quantile is known to 2 %, however many durations there are: DDSketch (Masson, Rim and Lee, arXiv 1908.10693) over a fixed range of
/// 10 µs to 1,000 s. Sketches of several processes are added up without loss. Thread-safe; adding takes no lock and allocates nothing.
/// </summary>
public sealed class LatencySketch
{
    private const double Accuracy = 0.02;
    private const double LeastMs = 0.01;
    private const double GreatestMs = 1_000_000;
    private static readonly double LogGrowth = Math.Log((1 + Accuracy) / (1 - Accuracy));
    private static readonly int Buckets = (int)Math.Ceiling(Math.Log(GreatestMs / LeastMs) / LogGrowth) + 1;
    private readonly long[] _counts = new long[Buckets];

    /// <summary>How many durations were added.</summary>
    public long Count => _counts.Sum(static count => Volatile.Read(ref count));

    public void Add(double milliseconds) => Interlocked.Increment(ref _counts[BucketOf(milliseconds)]);

    /// <summary>Adds those of another.</summary>
    public void Add(IEnumerable<long[]> pairs)
    {
        ArgumentNullException.ThrowIfNull(pairs);
        foreach (var pair in pairs)
            _counts[Math.Clamp(pair[0], 0, Buckets - 1)] += pair[1];
    }

    /// <summary>The value that this share of the durations does not exceed; null where there are none.</summary>
    public double? Quantile(double share)
    {
        var rank = Math.Ceiling(Math.Clamp(share, 0, 1) * Count);
        var seen = 0L;
        for (var bucket = 0; bucket < Buckets; bucket++)
        {
            seen += _counts[bucket];
            if (seen >= rank && seen > 0)
                return ValueOf(bucket);
        }

        return null;
    }

    /// <summary>How many durations were longer; those within 2 % of the limit may be on either side.</summary>
    public long LongerThan(double milliseconds)
    {
        var longer = 0L;
        for (var bucket = BucketOf(milliseconds) + 1; bucket < Buckets; bucket++)
            longer += _counts[bucket];
        return longer;
    }

    /// <summary>Bucket and count of those that are not empty: what is stored.</summary>
    public IReadOnlyList<long[]> ToPairs()
    {
        var pairs = new List<long[]>();
        for (var bucket = 0; bucket < Buckets; bucket++)
        {
            if (Interlocked.Read(ref _counts[bucket]) is > 0 and var count)
                pairs.Add([bucket, count]);
        }

        return pairs;
    }

    private static int BucketOf(double milliseconds) => milliseconds <= LeastMs ? 0 : Math.Min((int)Math.Ceiling(Math.Log(milliseconds / LeastMs) / LogGrowth), Buckets - 1);

    /// <summary>The middle of a bucket by ratio, which is within 2 % of both its bounds.</summary>
    private static double ValueOf(int bucket) => LeastMs * Math.Exp((bucket - 0.5) * LogGrowth);
}
