namespace QueueMaaS.Inference.Batching;

/// <summary>
/// Chooses batch size and delay so that requests take no longer than a target. A request that comes while a batch runs waits for its end and then for its own batch, so a batch may take
/// half the target; how much of that is used follows the latency that was really seen (99 % of the requests), shrinking fast and growing slowly. Not thread-safe.
/// </summary>
public sealed class LatencyTuner
{
    private const int Window = 200;
    private const double Least = 0.05;

    private readonly TimeSpan _target;
    private readonly int _maxBatchSize;
    private readonly List<double> _latencies = new(Window);
    private double _share = 1;

    /// <summary>Starts with the largest batches and no delay.</summary>
    /// <param name="target">What 99 % of the requests may take from arrival to answer, above zero.</param>
    /// <param name="maxBatchSize">The upper limit, at least 1.</param>
    public LatencyTuner(TimeSpan target, int maxBatchSize)
    {
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(target, TimeSpan.Zero);
        ArgumentOutOfRangeException.ThrowIfLessThan(maxBatchSize, 1);
        _target = target;
        _maxBatchSize = maxBatchSize;
        BatchSize = maxBatchSize;
    }

    /// <summary>Rows in a batch at most. Starts at the largest allowed.</summary>
    public int BatchSize { get; private set; }

    /// <summary>How long an idle instance waits for batch-mates.</summary>
    public TimeSpan Delay { get; private set; }

    /// <summary>Takes in what one request took from its arrival to its answer; true where the choice changed.</summary>
    public bool Observe(TimeSpan latency, BatchCostModel cost)
    {
        ArgumentNullException.ThrowIfNull(cost);
        _latencies.Add(latency.TotalSeconds);
        if (_latencies.Count < Window || !cost.IsFitted)
            return false;
        _latencies.Sort();
        var seen = _latencies[(int)(0.99 * (_latencies.Count - 1))] / _target.TotalSeconds;
        _latencies.Clear();
        _share = seen > 1 ? Math.Max(Least, _share * Math.Max(0.5, 0.95 / seen)) : seen < 0.8 ? Math.Min(1, _share * 1.1) : _share;

        var (size, delay) = (BatchSize, Delay);
        BatchSize = cost.LargestWithin(_target * (_share / 2), _maxBatchSize);
        // Waiting pays where the call itself is the cost; it must not eat what the computation leaves of the target.
        var left = (_target * _share) - (2 * cost.Predict(BatchSize));
        Delay = cost.PerBatch > cost.PerRow * BatchSize && left > TimeSpan.Zero ? Min(left / 4, TimeSpan.FromSeconds(cost.PerBatch)) : TimeSpan.Zero;
        return size != BatchSize || delay != Delay;
    }

    private static TimeSpan Min(TimeSpan a, TimeSpan b) => a < b ? a : b;
}
