using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using QueueMaaS.Jobs.Leasing;
using QueueMaaS.Jobs.Life;

namespace QueueMaaS.Jobs.Dispatch;

/// <summary>
/// Does what time asks for: queues due jobs, ends attempts whose lease expired or whose worker has ended, expires passed deadlines, and dispatches what was
/// committed but never published or whose pointer may be lost. Runs in every process: all its writes are compare-and-set, so several do no harm.
/// </summary>
public sealed partial class Sweeper(IJobStore store, IWorkerPresence presence, DispatchInbox dispatch, Execution.EagerStart eager, IOptions<JobOptions> options, TimeProvider time, ILogger<Sweeper> logger) : BackgroundService
{
    private const int Group = 1000;
    private const int MostGroups = 20;

    // Looked through at each sweep; a million jobs that wait are all looked at within two minutes.
    private const int WindowSize = 10_000;
    private static readonly TimeSpan FollowUpEvery = TimeSpan.FromSeconds(10);
    private long _followedUp;
    private DateTimeOffset _from = DateTimeOffset.UnixEpoch;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(options.Value.SweepEvery, time);
        do
        {
            try
            {
                await SweepAsync(stoppingToken);
            }
            catch (Exception exception) when (!stoppingToken.IsCancellationRequested)
            {
                LogSweepFailed(logger, exception.Message);
            }
        }
        while (await timer.WaitForNextTickAsync(stoppingToken));
    }

    internal async Task SweepAsync(CancellationToken cancellationToken)
    {
        await eager.LookAsync(store, cancellationToken);
        var count = await store.SweepAsync(await GoneAsync(cancellationToken), cancellationToken);
        if (count.LeasesExpired > 0)
        {
            Execution.JobTelemetry.RecordExpiredLeases(count.LeasesExpired);
            LogLeasesExpired(logger, count.LeasesExpired);
        }

        foreach (var pointer in count.Queued)
            dispatch.Add(pointer);
        await store.FillPlacesAsync(cancellationToken);
        var window = await store.WindowAsync(_from, WindowSize, cancellationToken);
        _from = window.Until ?? DateTimeOffset.UnixEpoch;
        for (var groups = 0; groups < MostGroups; groups++)
        {
            var lost = await store.TakeUndispatchedAsync(window, grace: 2 * options.Value.SweepEvery, options.Value.RedispatchAfter, Group, cancellationToken);
            foreach (var pointer in lost)
                dispatch.Add(pointer);
            if (lost.Count < Group)
                break;
        }

        if (_followedUp == 0 || time.GetElapsedTime(_followedUp) > FollowUpEvery)
        {
            _followedUp = time.GetTimestamp();
            await store.FollowUpAsync(cancellationToken);
        }
    }

    private async Task<IReadOnlyCollection<string>> GoneAsync(CancellationToken cancellationToken)
    {
        try
        {
            return await presence.GoneAsync(cancellationToken);
        }
        catch (Exception exception) when (!cancellationToken.IsCancellationRequested)
        {
            LogNotLooked(logger, exception.Message);
            return [];
        }
    }

    [LoggerMessage(Level = LogLevel.Debug, Message = "Could not look for workers that have ended ({Reason}); their leases expire by time")]
    private static partial void LogNotLooked(ILogger logger, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Count} running jobs had workers that ended or fell silent; each is tried again or failed")]
    private static partial void LogLeasesExpired(ILogger logger, int count);

    [LoggerMessage(Level = LogLevel.Error, Message = "Sweep failed ({Reason}); it is tried again")]
    private static partial void LogSweepFailed(ILogger logger, string reason);
}
