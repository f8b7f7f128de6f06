using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Life;
using QueueMaaS.Jobs.Settings;

namespace QueueMaaS.Jobs.Retention;

/// <summary>Deletes ended jobs when their time of keeping is over, a few at a time, so that no statement holds many rows for long.</summary>
public sealed partial class Cleaner(IJobStore store, CurrentOptions<JobOptions> options, TimeProvider time, ILogger<Cleaner> logger) : BackgroundService
{
    private const int Group = 500;
    private const int MostGroups = 20;
    private static readonly TimeSpan Every = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan Shortest = TimeSpan.FromSeconds(1);

    private static readonly Dictionary<JobState, TimeSpan> Default = new()
    {
        [JobState.Succeeded] = TimeSpan.FromDays(30),
        [JobState.Cancelled] = TimeSpan.FromDays(30),
        [JobState.Expired] = TimeSpan.FromDays(30),
        [JobState.Failed] = TimeSpan.FromDays(90),
    };

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Period(), time);
        while (await timer.WaitForNextTickAsync(stoppingToken))
        {
            try
            {
                foreach (var state in Default.Keys)
                    await CleanAsync(state, stoppingToken);
            }
            catch (Exception exception) when (!stoppingToken.IsCancellationRequested)
            {
                LogFailed(logger, exception.Message);
            }

            // The settings may have changed.
            timer.Period = Period();
        }
    }

    private TimeSpan Period()
    {
        var shortest = Default.Keys.Select(KeptFor).Where(kept => kept > TimeSpan.Zero).DefaultIfEmpty(Every).Min();
        // Who keeps jobs for seconds wants them gone after seconds.
        return shortest < Every ? (shortest < Shortest ? Shortest : shortest) : Every;
    }

    private TimeSpan KeptFor(JobState state) => options.Value.Retention.TryGetValue(state, out var kept) ? kept : Default[state];

    private async Task CleanAsync(JobState state, CancellationToken cancellationToken)
    {
        if (KeptFor(state) is var kept && kept == TimeSpan.Zero)
            return;
        for (var groups = 0; groups < MostGroups; groups++)
        {
            var deleted = await store.DeleteOldAsync(state, time.GetUtcNow() - kept, Group, cancellationToken);
            if (deleted > 0)
                LogDeleted(logger, deleted, state);
            if (deleted < Group)
                return;
        }
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Deleted {Count} jobs that ended as {State} and have been kept long enough")]
    private static partial void LogDeleted(ILogger logger, int count, JobState state);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Old jobs could not be deleted ({Reason}); it is tried again")]
    private static partial void LogFailed(ILogger logger, string reason);
}
