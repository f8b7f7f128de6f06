using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using System.Text.Json;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Execution;
using QueueMaaS.Jobs.Notification;

namespace QueueMaaS.Jobs.Deployment;

/// <summary>Opens, shows, judges and ends drift monitors. Of several processes that see a change of state at the same time, one tells of it.</summary>
public sealed class DriftMonitors : IDisposable
{
    private const int MostTold = 20;
    private readonly IWatchStore _watches;
    private readonly TimeProvider _time;
    private readonly Meter _meter;
    private readonly ConcurrentDictionary<string, (string Model, int Version, FeatureDrift Worst)> _seen = new(StringComparer.Ordinal);

    public DriftMonitors(IWatchStore watches, TimeProvider time, IMeterFactory? meters = null)
    {
        (_watches, _time) = (watches, time);
        _meter = meters?.Create(JobTelemetry.Name) ?? new Meter(JobTelemetry.Name);
        _meter.CreateObservableGauge(
            "queuemaas_model_drift_psi", () => _seen.Values.Select(static one => new Measurement<double>(one.Worst.Psi ?? 0, new("model", one.Model), new("version", one.Version), new("feature", one.Worst.Name))),
            null, "Population stability index of the feature that is furthest from the version's baseline.");
    }

    /// <summary>Opens a monitor in the place of the version's last one.</summary>
    public async Task<ModelWatch> OpenAsync(string tenant, string model, int version, DriftBaseline baseline, CancellationToken cancellationToken)
    {
        var now = _time.GetUtcNow();
        var watch = ModelWatch.Open(
            WatchKind.Drift, tenant, model, version, DriftBaseline.OpenKeyOf(model, version), JsonSerializer.Serialize(baseline, QueueMaaSJson.Relaxed), new DriftStanding(DriftState.Waiting, now).ToJson(), now);
        while (!await _watches.AddAsync(watch, cancellationToken))
        {
            if (await FindAsync(tenant, model, version, cancellationToken) is { } before)
                await EndAsync(before, cancellationToken);
        }

        return watch;
    }

    /// <summary>The open monitor of a version; null where it has none.</summary>
    public Task<ModelWatch?> FindAsync(string tenant, string model, int version, CancellationToken cancellationToken) => _watches.FindOpenAsync(tenant, DriftBaseline.OpenKeyOf(model, version), cancellationToken);

    public Task<bool> EndAsync(ModelWatch watch, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(watch);
        _seen.TryRemove(watch.Id, out _);
        (watch.OpenKey, watch.EndedAt) = (null, _time.GetUtcNow());
        return _watches.ChangeAsync(watch, cancellationToken);
    }

    public async Task<DriftMonitor> ShowAsync(ModelWatch watch, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(watch);
        var (baseline, standing) = (DriftBaseline.Of(watch), DriftStanding.Of(watch));
        var served = DriftMeasure.Sum(baseline, await _watches.SummariesAsync(watch.Id, cancellationToken), _time.GetUtcNow());
        return new()
        {
            Id = watch.Id,
            Model = watch.Name,
            Version = watch.Version,
            Settings = baseline.Settings,
            Baseline = baseline.Source,
            BaselineRows = baseline.Rows,
            State = standing.State,
            Since = standing.Since,
            Rows = served.Rows,
            Features = DriftMeasure.Features(baseline, served),
        };
    }

    /// <summary>Judges an open monitor; true where this process told that it drifts, or does no longer.</summary>
    public async Task<bool> JudgeAsync(ModelWatch watch, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(watch);
        var (baseline, standing, now) = (DriftBaseline.Of(watch), DriftStanding.Of(watch), _time.GetUtcNow());
        var served = DriftMeasure.Sum(baseline, await _watches.SummariesAsync(watch.Id, cancellationToken), now);
        var features = DriftMeasure.Features(baseline, served);
        if (features.Count > 0 && served.Rows > 0)
            _seen[watch.Id] = (watch.Name, watch.Version, features[0]);
        var next = DriftMeasure.Next(standing.State, baseline, served, features);
        if (next == standing.State)
            return false;
        watch.Standing = new DriftStanding(next, now).ToJson();
        // That a new monitor finds all well is no news.
        var news = next == DriftState.Drifting || standing.State == DriftState.Drifting
            ? new WatchEvent(WebhookTypes.ModelDrift, JsonSerializer.Serialize(new DriftEvent(watch.Name, watch.Version, next, served.Rows, [.. features.Where(static feature => feature.Parted).Take(MostTold)]), QueueMaaSJson.Relaxed))
            : null;
        return await _watches.ChangeAsync(watch, cancellationToken, news) && news is not null;
    }

    /// <summary>What is told of monitors that others have ended is told no longer.</summary>
    public void Keep(IReadOnlySet<string> open)
    {
        foreach (var id in _seen.Keys.Where(id => !open.Contains(id)))
            _seen.TryRemove(id, out _);
    }

    public void Dispose() => _meter.Dispose();
}
