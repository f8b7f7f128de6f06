namespace QueueMaaS.Inference.Batching;

/// <summary>The cost models of one model version: one for each lane, since a longer text or a larger image costs more, and one over all for lanes not yet known. Thread-safe.</summary>
internal sealed class BatchCosts
{
    // Shapes beyond it share the model over all: a client that sends ever new shapes must not grow the memory.
    private const int MostLanes = 256;

    private readonly Lock _gate = new();
    private readonly BatchCostModel _all = new();
    private readonly Dictionary<string, BatchCostModel> _byLane = new(StringComparer.Ordinal);

    /// <summary>Takes in a measured batch.</summary>
    public void Observe(string lane, int rows, TimeSpan took)
    {
        lock (_gate)
        {
            _all.Observe(rows, took);
            if (!_byLane.TryGetValue(lane, out var model))
            {
                if (_byLane.Count == MostLanes)
                    return;
                _byLane.Add(lane, model = new());
            }

            model.Observe(rows, took);
        }
    }

    /// <summary>What a batch will take, or null while too little is known.</summary>
    public TimeSpan? Predict(string lane, int rows)
    {
        lock (_gate)
            return Known(lane)?.Predict(rows);
    }

    /// <summary>Seconds per row and per batch over all lanes, or null while too little is known.</summary>
    public (double PerRow, double PerBatch)? Overall
    {
        get
        {
            lock (_gate)
                return _all.IsFitted ? (_all.PerRow, _all.PerBatch) : null;
        }
    }

    /// <summary>Lets <paramref name="tuner"/> look at the model over all lanes.</summary>
    public bool Tune(LatencyTuner tuner, TimeSpan latency)
    {
        lock (_gate)
            return tuner.Observe(latency, _all);
    }

    private BatchCostModel? Known(string lane) => _byLane.TryGetValue(lane, out var own) && own.IsFitted ? own : _all.IsFitted ? _all : null;
}
