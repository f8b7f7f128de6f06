using System.Text.Json;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Dispatch;
using QueueMaaS.Messaging.Dispatch;
using QueueMaaS.Messaging.Events;
using RabbitMQ.Client;
using RabbitMQ.Client.Exceptions;

namespace QueueMaaS.Messaging.RabbitMq;

/// <summary>Publishes events and pointers, each on a channel of its own, and completes with the broker's confirm.</summary>
internal sealed class RabbitPublisher(RabbitConnection connection) : IEventPublisher, IDispatchQueue, IAsyncDisposable
{
    private static readonly BasicProperties Persistent = new() { ContentType = "application/json", DeliveryMode = DeliveryModes.Persistent };

    private static readonly BasicProperties Pack = new()
    {
        ContentType = "application/json",
        DeliveryMode = DeliveryModes.Persistent,
        Headers = new Dictionary<string, object?> { ["MT-MessageType"] = "urn:message:QueueMaaS.Messaging:WorkPack" },
    };

    private readonly RabbitGroups _events = new(connection);
    private readonly RabbitChannel _packs = new(connection);

    public bool IsInProcess => false;

    public Task PublishAsync(IReadOnlyList<JobEvent> events, CancellationToken cancellationToken) => _events.PublishAsync(
        events,
        (channel, happened) => channel.BasicPublishAsync(
            BusNames.EventsExchange, EventRelay.RoutingKey(happened), mandatory: false, Persistent, JsonSerializer.SerializeToUtf8Bytes(happened, QueueMaaSJson.Relaxed), cancellationToken),
        cancellationToken);

    public async Task PublishAsync(JobKind kind, PriorityClass priority, IReadOnlyList<string> ids, CancellationToken cancellationToken)
    {
        var queue = WorkQueues.Name(kind, priority);
        var body = JsonSerializer.SerializeToUtf8Bytes(new WorkPack { Kind = kind, Ids = ids }, QueueMaaSJson.Relaxed);
        try
        {
            await SendAsync();
        }
        catch (PublishException exception) when (exception.IsReturn)
        {
            // No worker of this kind was ever there, or somebody deleted the queue: the pointers wait in it for the first one.
            await connection.DeclareQueueAsync(queue, cancellationToken);
            await SendAsync();
        }

        // Mandatory: a queue that is not there must not swallow pointers silently.
        Task SendAsync() => _packs.PublishAsync(channel => channel.BasicPublishAsync("", queue, mandatory: true, Pack, body, cancellationToken).AsTask(), cancellationToken);
    }

    public async Task<bool> IsEmptyAsync(JobKind kind, PriorityClass priority, CancellationToken cancellationToken)
    {
        await using var channel = await connection.OpenChannelAsync(cancellationToken);
        try
        {
            return await channel.MessageCountAsync(WorkQueues.Name(kind, priority), cancellationToken) == 0;
        }
        catch (OperationInterruptedException exception) when (exception.ShutdownReason?.ReplyCode == Constants.NotFound)
        {
            return true;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _events.DisposeAsync();
        await _packs.DisposeAsync();
    }
}
