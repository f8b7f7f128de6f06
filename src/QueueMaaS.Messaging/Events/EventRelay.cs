using MassTransit;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Life;
using QueueMaaS.Jobs.Notification;

namespace QueueMaaS.Messaging.Events;

/// <summary>Publishes event rows on the bus, in the order of the table, at least once: a row is marked only after the broker has confirmed it.</summary>
public sealed partial class EventRelay(IJobStore store, IBus bus, IJobSignals signals, TimeProvider time, ILogger<EventRelay> logger) : BackgroundService
{
    private const int Group = 256;
    private static readonly TimeSpan LookAnyway = TimeSpan.FromSeconds(1);
    private readonly SemaphoreSlim _wake = new(0, 1);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var subscription = signals.Subscribe(_ => Wake());
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                if (await RelayAsync(stoppingToken) < Group)
                    await _wake.WaitAsync(LookAnyway, stoppingToken);
            }
            catch (Exception exception) when (!stoppingToken.IsCancellationRequested)
            {
                LogRelayFailed(logger, exception.Message);
                await Task.Delay(LookAnyway, time, stoppingToken);
            }
        }
    }

    public override void Dispose()
    {
        _wake.Dispose();
        base.Dispose();
    }

    private async Task<int> RelayAsync(CancellationToken cancellationToken)
    {
        var rows = await store.UnpublishedEventsAsync(Group, cancellationToken);
        if (rows.Count == 0)
            return 0;
        await Task.WhenAll(rows.Select(row => bus.Publish(row.Event, context => context.SetRoutingKey(RoutingKey(row.Event)), cancellationToken)));
        await store.MarkPublishedAsync([.. rows.Select(row => row.RowId)], cancellationToken);
        return rows.Count;
    }

    /// <summary>Dots separate the words of a routing key, so the id's own are replaced.</summary>
    private static string RoutingKey(JobEvent e) => $"job.{e.Type}.{e.JobId.Replace('.', '_').Replace(':', '_')}";

    private void Wake()
    {
        try
        {
            _wake.Release();
        }
        catch (SemaphoreFullException)
        {
            // It is awake already.
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "Events could not be published ({Reason}); they are kept and tried again")]
    private static partial void LogRelayFailed(ILogger logger, string reason);
}
