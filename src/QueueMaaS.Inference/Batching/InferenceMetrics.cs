using System.Collections.Concurrent;
using System.Diagnostics;
using System.Diagnostics.Metrics;

namespace QueueMaaS.Inference.Batching;

/// <summary>The meter <c>QueueMaaS.Inference</c>. Means follow from each histogram's sum and count.</summary>
public sealed class InferenceMetrics : IDisposable
{
    /// <summary>The meter's name.</summary>
    public const string MeterName = "QueueMaaS.Inference";

    private readonly Meter _meter;
    private readonly Histogram<int> _size;
    private readonly Histogram<double> _queue;
    private readonly Histogram<double> _compute;
    private readonly Counter<long> _again;
    private readonly Counter<long> _failed;
    private readonly Counter<long> _reused;
    private readonly Counter<long> _processesEnded;
    private readonly ConcurrentDictionary<DynamicBatcher, bool> _batchers = new();
    private readonly ConcurrentDictionary<(string Model, int Version), BatchStatistics> _statistics = new();

    /// <summary>Makes the instruments, from <paramref name="factory"/> where the host has one.</summary>
    public InferenceMetrics(IMeterFactory? factory = null)
    {
        _meter = factory?.Create(MeterName) ?? new Meter(MeterName);
        _size = _meter.CreateHistogram<int>("queuemaas_batch_size", "rows", "Rows computed together.");
        _queue = _meter.CreateHistogram<double>("queuemaas_batch_queue_seconds", "s", "Time a request waited before its computation started.");
        _compute = _meter.CreateHistogram<double>("queuemaas_batch_compute_seconds", "s", "Time a batch took to compute.");
        _again = _meter.CreateCounter<long>("queuemaas_batch_runs_again", description: "Further runs to find the request that made its batch fail.");
        _failed = _meter.CreateCounter<long>("queuemaas_batch_requests_failed", description: "Requests that failed or were refused, by code.");
        _reused = _meter.CreateCounter<long>("queuemaas_answers_reused", description: "Requests answered without a computation of their own: shared with one in flight, or cached.");
        _processesEnded = _meter.CreateCounter<long>("queuemaas_model_processes_ended", description: "Processes of isolated models that ended in the middle of a run.");
        Gauge("queuemaas_batch_queue_rows", "rows", "Rows queued.", static s => s.Rows);
        Gauge("queuemaas_batch_queue_bytes", "By", "Memory held by queued tensors.", static s => s.Bytes);
        Gauge("queuemaas_batch_queue_requests", null, "Requests queued or waiting for room.", static s => s.Requests);
        Gauge("queuemaas_batch_limit_rows", "rows", "Most rows in a batch: as set, or as chosen for the latency target.", static s => s.BatchSize);
        Gauge("queuemaas_batch_limit_delay_seconds", "s", "Longest wait for batch-mates: as set, or as chosen for the latency target.", static s => s.Delay.TotalSeconds);
        Gauge("queuemaas_batch_cost_row_seconds", "s", "What each row adds to a batch, fitted to measured batches.", static s => s.Cost?.PerRow);
        Gauge("queuemaas_batch_cost_call_seconds", "s", "What each batch costs however small, fitted to measured batches.", static s => s.Cost?.PerBatch);
    }

    internal bool RecordsQueue => _queue.Enabled;

    /// <summary>Reports what is in memory.</summary>
    internal void Watch(Func<int> models, Func<long> bytes)
    {
        _meter.CreateObservableGauge("queuemaas_models_loaded", models, null, "Model versions in memory or being loaded.");
        _meter.CreateObservableGauge("queuemaas_models_loaded_bytes", bytes, "By", "Weights of the model versions in memory.");
    }

    /// <summary>What was computed since the process started, by model version; a version that left the memory keeps its numbers.</summary>
    internal IReadOnlyList<ModelStatistics> Statistics() => [.. _statistics.Select(static s => s.Value.Read(s.Key.Model, s.Key.Version))];

    internal BatchStatistics StatisticsOf(string model, int version) => _statistics.GetOrAdd((model, version), static _ => new());

    internal void Track(DynamicBatcher batcher) => _batchers[batcher] = true;

    internal void Forget(DynamicBatcher batcher) => _batchers.TryRemove(batcher, out _);

    internal void Batch(TagList tags, int rows, TimeSpan computed)
    {
        _size.Record(rows, tags);
        _compute.Record(computed.TotalSeconds, tags);
    }

    internal void Queued(TagList tags, TimeSpan waited) => _queue.Record(waited.TotalSeconds, tags);

    internal void RanAgain(TagList tags, int runs) => _again.Add(runs, tags);

    internal void Failed(TagList tags, string code)
    {
        tags.Add("code", code);
        _failed.Add(1, tags);
    }

    internal void Reused(string model, int version, string how, TimeSpan took, DateTimeOffset now)
    {
        _reused.Add(1, new("model", model), new("version", version), new("how", how));
        StatisticsOf(model, version).Reused(took, now);
    }

    /// <summary>A request that shared another's computation failed with it.</summary>
    internal void FailedWithOther(string model, int version, string code, TimeSpan after)
    {
        Failed(new() { { "model", model }, { "version", version } }, code);
        StatisticsOf(model, version).Failed(after);
    }

    internal void ProcessEnded(string model, int version) => _processesEnded.Add(1, new("model", model), new("version", version));

    /// <inheritdoc/>
    public void Dispose() => _meter.Dispose();

    private void Gauge(string name, string? unit, string description, Func<BatcherState, double?> read) =>
        _meter.CreateObservableGauge(name, () => Observe(read), unit, description);

    private IEnumerable<Measurement<double>> Observe(Func<BatcherState, double?> read)
    {
        foreach (var (batcher, _) in _batchers)
        {
            if (read(batcher.State) is { } value)
                yield return new(value, batcher.Tags());
        }
    }
}

/// <summary>How a batcher stands at one moment.</summary>
/// <param name="Rows">Rows queued.</param>
/// <param name="Bytes">Memory held by their tensors.</param>
/// <param name="Requests">Requests, or parts of them, queued or waiting for room.</param>
/// <param name="BatchSize">Most rows in a batch.</param>
/// <param name="Delay">Longest wait for batch-mates.</param>
/// <param name="Cost">Seconds per row and per batch; null while too little is known.</param>
internal readonly record struct BatcherState(int Rows, long Bytes, int Requests, int BatchSize, TimeSpan Delay, (double PerRow, double PerBatch)? Cost);
