using MassTransit;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Life;
using QueueMaaS.Jobs.Notification;

namespace QueueMaaS.Messaging.Events;

/// <summary>Publishes events and returns once the bus has all of them.</summary>
internal interface IEventPublisher
{
    Task PublishAsync(IReadOnlyList<JobEvent> events, CancellationToken cancellationToken);
}

/// <summary>Publishes event rows on the bus, in the order of the table, at least once: how far it went is remembered only after the broker has confirmed.</summary>
internal sealed partial class EventRelay(IEventOutbox outbox, IEventPublisher publisher, IJobSignals signals, TimeProvider time, ILogger<EventRelay> logger) : BackgroundService
{
    private const int Group = 1024;

    // More at once are a sign of load: then a larger group costs each event less than a short wait.
    private const int Few = 16;
    private static readonly TimeSpan Gather = TimeSpan.FromMilliseconds(10);
    private static readonly TimeSpan LookAnyway = TimeSpan.FromSeconds(1);
    private readonly SemaphoreSlim _wake = new(0, 1);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var subscription = signals.Subscribe(_ => Wake());
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                var relayed = await outbox.RelayAsync(Group, publisher.PublishAsync, stoppingToken);
                if (relayed is null)
                    await Task.Delay(LookAnyway, time, stoppingToken);
                else if (relayed is > Few and < Group)
                    await Task.Delay(Gather, time, stoppingToken);
                else if (relayed < Group)
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

    /// <summary>Dots separate the words of a routing key, so the id's own are replaced.</summary>
    public static string RoutingKey(JobEvent e) => e.Type.Contains('.', StringComparison.Ordinal) ? $"{e.Type}.{Word(e.JobId)}" : $"job.{e.Type}.{Word(e.JobId)}";

    private static string Word(string id) => id.Replace('.', '_').Replace(':', '_');

    private void Wake()
    {
        try
        {
            if (_wake.CurrentCount == 0)
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

/// <summary>Publishes by MassTransit: for the bus that lives in this process.</summary>
internal sealed class BusEventPublisher(IBus bus) : IEventPublisher
{
    public Task PublishAsync(IReadOnlyList<JobEvent> events, CancellationToken cancellationToken) =>
        Task.WhenAll(events.Select(e => bus.Publish(e, context => context.SetRoutingKey(EventRelay.RoutingKey(e)), cancellationToken)));
}
