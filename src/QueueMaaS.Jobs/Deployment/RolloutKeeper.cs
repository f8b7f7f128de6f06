using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace QueueMaaS.Jobs.Deployment;

/// <summary>Looks at every open rollout again and again, and has decided what can be. Several processes that do it do no harm.</summary>
internal sealed partial class RolloutKeeper(IWatchStore watches, Rollouts rollouts, IOptions<DeploymentOptions> options, TimeProvider time, ILogger<RolloutKeeper> logger) : BackgroundService
{
    private static readonly TimeSpan TidyEvery = TimeSpan.FromHours(1);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(options.Value.LookEvery, time);
        DateTimeOffset? tidied = null;
        while (await timer.WaitForNextTickAsync(stoppingToken))
        {
            try
            {
                foreach (var watch in await watches.OpenAsync(stoppingToken))
                {
                    if (watch.Kind == WatchKind.Rollout && await rollouts.DecideAsync(watch, stoppingToken))
                        LogDecided(logger, watch.Id, watch.Name, RolloutStanding.Of(watch).Reason);
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

    [LoggerMessage(Level = LogLevel.Information, Message = "Rollout {Id} of {Model}: {Reason}")]
    private static partial void LogDecided(ILogger logger, string id, string model, string? reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Rollouts could not be decided about ({Reason}); it is tried again")]
    private static partial void LogFailed(ILogger logger, string reason);
}
