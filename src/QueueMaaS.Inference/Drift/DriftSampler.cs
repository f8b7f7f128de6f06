using System.Text.Json;
using QueueMaaS.Contracts;
using QueueMaaS.Inference.Tensors;
using QueueMaaS.Inference.Traffic;
using QueueMaaS.Jobs.Deployment;

namespace QueueMaaS.Inference.Drift;

/// <summary>
/// Counts rows of what a version serves into the bins of its baseline. Thread-safe. Which requests are summarised is drawn at random, each as likely as the last second's traffic allows: the first of every burst, or one
/// at every tick of a clock, might be of one kind. A request that is not drawn costs some nanoseconds; one that is costs a look at each feature of one of its rows, and neither allocates anything.
/// </summary>
internal sealed class DriftSampler : ITrafficCounter
{
    private readonly string _watch;
    private readonly DriftBaseline _baseline;
    private readonly IReadOnlyList<(DriftFeature Feature, FeatureBins Bins)> _features;
    private readonly TimeProvider _time;
    private readonly int _rowsPerSecond;
    private readonly Lock _gate = new();
    private Window _window;
    private Window? _before;
    private double _chance = 1;
    private long _seen;
    private int _taken;
    private long _since;

    public DriftSampler(string watch, DriftBaseline baseline, ServedModel model, int rowsPerSecond, TimeProvider time)
    {
        (_watch, _baseline, _time) = (watch, baseline, time);
        var known = DriftFeatures.Of(model).ToDictionary(static feature => feature.Name, StringComparer.Ordinal);
        // What the baseline names and the version has not (a newer program counts something else) stays empty.
        _features = [.. baseline.Features.Select(bins => (known.GetValueOrDefault(bins.Name) ?? new NumberAt(bins.Name, int.MaxValue, ofAnswer: false, 0), bins))];
        (_rowsPerSecond, _since) = (rowsPerSecond, time.GetTimestamp());
        _window = new(baseline, baseline.WindowOf(time.GetUtcNow()));
    }

    public string WatchId => _watch;

    /// <summary>Looks at an answered request, if it is drawn.</summary>
    public void Observe(IReadOnlyList<TensorBuffer> inputs, IReadOnlyList<TensorBuffer> outputs, int rows)
    {
        var seen = Interlocked.Increment(ref _seen);
        // A quiet second may be followed by a storm, whose likelihood is known only a second later.
        if (rows < 1 || Random.Shared.NextDouble() >= Volatile.Read(ref _chance) || Interlocked.Increment(ref _taken) > _rowsPerSecond)
        {
            // A look at the clock now and then is enough.
            if ((seen & 31) == 0)
                Balance();
            return;
        }

        Balance();
        var row = rows == 1 ? 0 : Random.Shared.Next(rows);
        lock (_gate)
        {
            Turn();
            for (var i = 0; i < _features.Count; i++)
            {
                var (feature, bins) = _features[i];
                _window.Counts[i][bins.BinOf(feature.Read(inputs, outputs, row))]++;
            }

            _window.Rows++;
        }
    }

    public IEnumerable<(string Part, string Data)> Read()
    {
        lock (_gate)
        {
            Turn();
            // The window before is read once more, with what came after it was read last.
            return [.. new[] { _before, _window }.OfType<Window>().Where(static window => window.Rows > 0)
                .Select(static window => (window.Name, JsonSerializer.Serialize(new DriftData(window.Rows, window.Counts), QueueMaaSJson.Relaxed)))];
        }
    }

    /// <summary>Once a second: how likely a request has to be for so many rows of as much traffic as there was.</summary>
    private void Balance()
    {
        var since = Interlocked.Read(ref _since);
        var elapsed = _time.GetElapsedTime(since);
        if (elapsed < TimeSpan.FromSeconds(1) || Interlocked.CompareExchange(ref _since, _time.GetTimestamp(), since) != since)
            return;
        var perSecond = Interlocked.Exchange(ref _seen, 0) / elapsed.TotalSeconds;
        Volatile.Write(ref _chance, perSecond <= _rowsPerSecond ? 1 : _rowsPerSecond / perSecond);
        Volatile.Write(ref _taken, 0);
    }

    private void Turn()
    {
        var name = _baseline.WindowOf(_time.GetUtcNow());
        if (name == _window.Name)
            return;
        (_before, _window) = (_window, new(_baseline, name));
    }

    private sealed class Window(DriftBaseline baseline, string name)
    {
        public readonly string Name = name;
        public readonly long[][] Counts = [.. baseline.Features.Select(static feature => new long[feature.Counts.Count])];
        public long Rows;
    }
}
