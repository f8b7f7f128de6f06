using System.Collections.Frozen;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using QueueMaaS.Inference.Drift;
using QueueMaaS.Inference.Jobs;
using QueueMaaS.Jobs.Catalog;
using QueueMaaS.Jobs.Deployment;
using QueueMaaS.Jobs.Execution;

namespace QueueMaaS.Inference.Traffic;

/// <summary>
/// Knows which models are followed, and stores what this worker has counted. A request to a model that nobody follows costs one look into a dictionary.
/// What is to be followed is asked every <see cref="DeploymentOptions.LookEvery"/>; counts that have changed are stored as often.
/// </summary>
public sealed partial class ServedTraffic(
    IWatchStore watches, IModelCatalog models, Predictor predictor, ShadowRunner shadows, WorkerIdentity worker, IOptions<DeploymentOptions> options, TimeProvider time, ILogger<ServedTraffic> logger) : BackgroundService
{
    private readonly Dictionary<string, ITrafficCounter> _counters = new(StringComparer.Ordinal);
    private readonly Dictionary<(string Watch, string Part), string> _stored = [];
    private volatile FrozenDictionary<(string Tenant, string Model), ModelTraffic> _followed = FrozenDictionary<(string, string), ModelTraffic>.Empty;

    /// <summary>What is followed of a model; null where nothing is.</summary>
    public ModelTraffic? Find(string tenant, string model) => _followed.Count == 0 ? null : _followed.GetValueOrDefault((tenant, model));

    /// <inheritdoc/>
    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken);
        try
        {
            await StoreAsync(cancellationToken);
        }
        catch (Exception exception) when (exception is not OutOfMemoryException)
        {
            LogFailed(logger, exception.Message);
        }
    }

    /// <inheritdoc/>
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(options.Value.LookEvery, time);
        do
        {
            try
            {
                var ended = await LookAsync(stoppingToken);
                await StoreAsync(stoppingToken);
                // What was counted to the end is stored by now.
                foreach (var key in ended)
                    Forget(key);
            }
            catch (Exception exception) when (!stoppingToken.IsCancellationRequested)
            {
                LogFailed(logger, exception.Message);
            }
        }
        while (await timer.WaitForNextTickAsync(stoppingToken));
    }

    private async Task<List<string>> LookAsync(CancellationToken cancellationToken)
    {
        var open = await watches.OpenAsync(cancellationToken);
        var live = new HashSet<string>(StringComparer.Ordinal);
        var followed = new Dictionary<(string, string), ModelTraffic>();
        foreach (var group in open.GroupBy(static watch => (watch.Tenant, watch.Name)))
        {
            var rollout = group.FirstOrDefault(static watch => watch.Kind == WatchKind.Rollout) is { } rolling ? RolloutOf(rolling, live) : null;
            var shadow = group.FirstOrDefault(static watch => watch.Kind == WatchKind.Shadow) is { } shadowing
                ? await KeepAsync(shadowing, live, served => new ShadowFeed(shadowing.Id, ShadowStanding.RequestOf(shadowing), served, shadows), cancellationToken)
                : null;
            var monitors = new Dictionary<int, DriftSampler>();
            foreach (var watch in group.Where(static watch => watch.Kind == WatchKind.Drift))
            {
                if (await KeepAsync(watch, live, served => new DriftSampler(watch.Id, DriftBaseline.Of(watch), served, options.Value.DriftRowsPerSecond, time), cancellationToken) is { } sampler)
                    monitors[watch.Version] = sampler;
            }

            if (rollout is not null || shadow is not null || monitors.Count > 0)
                followed[group.Key] = new(rollout, shadow, monitors.ToFrozenDictionary(), time);
        }

        _followed = followed.ToFrozenDictionary();
        return [.. _counters.Keys.Where(key => !live.Contains(key))];
    }

    private RolloutCounter RolloutOf(ModelWatch watch, HashSet<string> live)
    {
        var step = RolloutStanding.Of(watch).Step;
        return Keep(RolloutCounter.KeyOf(watch.Id, step), live, () => new RolloutCounter(watch.Id, step));
    }

    /// <summary>The counter of a watch that needs its version as it is served; null where that is gone.</summary>
    private async Task<T?> KeepAsync<T>(ModelWatch watch, HashSet<string> live, Func<ServedModel, T> make, CancellationToken cancellationToken) where T : class, ITrafficCounter
    {
        ServedModel? served = null;
        if (!_counters.ContainsKey(watch.Id))
        {
            if (await models.FindAsync(watch.Tenant, new(watch.Name, watch.Version, Alias: null), cancellationToken) is not { } version)
                return null;
            served = await predictor.ServeAsync(version, cancellationToken);
        }

        return Keep(watch.Id, live, () => make(served!));
    }

    private T Keep<T>(string key, HashSet<string> live, Func<T> make) where T : class, ITrafficCounter
    {
        live.Add(key);
        if (_counters.TryGetValue(key, out var known))
            return (T)known;
        var made = make();
        _counters[key] = made;
        return made;
    }

    private async Task StoreAsync(CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        var changed = new List<TrafficSummary>();
        foreach (var counter in _counters.Values)
        {
            foreach (var (part, data) in counter.Read())
            {
                if (_stored.GetValueOrDefault((counter.WatchId, part)) != data)
                    changed.Add(new() { WatchId = counter.WatchId, Part = part, Worker = worker.Name, Data = data, ChangedAt = now });
            }
        }

        if (changed.Count == 0)
            return;
        await watches.PutAsync(changed, cancellationToken);
        foreach (var summary in changed)
            _stored[(summary.WatchId, summary.Part)] = summary.Data;
    }

    private void Forget(string key)
    {
        if (!_counters.Remove(key, out var counter))
            return;
        foreach (var (part, _) in counter.Read().ToArray())
            _stored.Remove((counter.WatchId, part));
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "What was served could not be counted in the store ({Reason}); it is tried again")]
    private static partial void LogFailed(ILogger logger, string reason);
}
