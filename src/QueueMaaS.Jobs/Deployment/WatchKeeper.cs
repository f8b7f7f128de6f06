using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace QueueMaaS.Jobs.Deployment;

/// <summary>Looks at every open rollout and drift monitor again and again, and has decided what can be. Several processes that do it do no harm.</summary>
internal sealed partial class WatchKeeper(IWatchStore watches, Rollouts rollouts, DriftMonitors monitors, IOptions<DeploymentOptions> options, TimeProvider time, ILogger<WatchKeeper> logger) : BackgroundService
{
    private static readonly TimeSpan TidyEvery = TimeSpan.FromHours(1);

    // A window's counts move slowly; what is read of them all is more than a rollout's.
    private const double LooksPerWindow = 60;
    private readonly Dictionary<string, DateTimeOffset> _judged = new(StringComparer.Ordinal);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(options.Value.LookEvery, time);
        DateTimeOffset? tidied = null;
        while (await timer.WaitForNextTickAsync(stoppingToken))
        {
            try
            {
                var open = await watches.OpenAsync(stoppingToken);
                monitors.Keep(open.Select(static watch => watch.Id).ToHashSet(StringComparer.Ordinal));
                foreach (var watch in open)
                {
                    if (watch.Kind == WatchKind.Rollout && await rollouts.DecideAsync(watch, stoppingToken))
                        LogDecided(logger, watch.Id, watch.Name, RolloutStanding.Of(watch).Reason);
                    if (watch.Kind == WatchKind.Drift)
                        await JudgeAsync(watch, stoppingToken);
                }

                if (tidied is null || time.GetUtcNow() - tidied > TidyEvery)
                {
                    tidied = time.GetUtcNow();
                    // A worker may have stored its last counts after the end.
                    await watches.RemoveOrphansAsync(tidied.Value - TidyEvery, stoppingToken);
                }
            }
            catch (Exception exception) when (!stoppingToken.IsCancellationRequested)
            {
                LogFailed(logger, exception.Message);
            }
        }
    }

    private async Task JudgeAsync(ModelWatch watch, CancellationToken stoppingToken)
    {
        var now = time.GetUtcNow();
        var window = TimeSpan.FromSeconds(DriftBaseline.Of(watch).Settings.WindowSeconds);
        if (_judged.TryGetValue(watch.Id, out var last) && now - last < window / LooksPerWindow)
            return;
        _judged[watch.Id] = now;
        if (await monitors.JudgeAsync(watch, stoppingToken))
            LogDrift(logger, watch.Name, watch.Version, DriftStanding.Of(watch).State);
        await watches.RemoveOldAsync(watch.Id, now - (3 * window), stoppingToken);
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "What {Model}@{Version} serves is {State} against the data of its baseline")]
    private static partial void LogDrift(ILogger logger, string model, int version, Contracts.DriftState state);

    [LoggerMessage(Level = LogLevel.Information, Message = "Rollout {Id} of {Model}: {Reason}")]
    private static partial void LogDecided(ILogger logger, string id, string model, string? reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Rollouts and monitors could not be judged ({Reason}); it is tried again")]
    private static partial void LogFailed(ILogger logger, string reason);
}
