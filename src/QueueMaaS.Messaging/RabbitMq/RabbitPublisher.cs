using System.Text.Json;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Dispatch;
using QueueMaaS.Messaging.Dispatch;
using QueueMaaS.Messaging.Events;
using RabbitMQ.Client;

namespace QueueMaaS.Messaging.RabbitMq;

/// <summary>Publishes events and pointers, each on a channel of its own, and completes with the broker's confirm.</summary>
internal sealed class RabbitPublisher(RabbitConnection connection) : IEventPublisher, IDispatchQueue, IAsyncDisposable
{
    private static readonly BasicProperties Transient = new() { ContentType = "application/json", DeliveryMode = DeliveryModes.Persistent };

    private static readonly BasicProperties Pack = new()
    {
        ContentType = "application/json",
        DeliveryMode = DeliveryModes.Persistent,
        Headers = new Dictionary<string, object?> { ["MT-MessageType"] = "urn:message:QueueMaaS.Messaging:WorkPack" },
    };

    private readonly Slot _events = new();
    private readonly Slot _packs = new();

    public bool IsInProcess => false;

    public async Task PublishAsync(IReadOnlyList<JobEvent> events, CancellationToken cancellationToken)
    {
        var channel = await OpenAsync(_events, cancellationToken);
        var confirms = new Task[events.Count];
        for (var i = 0; i < events.Count; i++)
        {
            confirms[i] = channel.BasicPublishAsync(
                BusNames.EventsExchange, EventRelay.RoutingKey(events[i]), mandatory: false, Transient, JsonSerializer.SerializeToUtf8Bytes(events[i], QueueMaaSJson.Relaxed), cancellationToken).AsTask();
        }

        await Task.WhenAll(confirms);
    }

    public async Task PublishAsync(JobKind kind, PriorityClass priority, IReadOnlyList<string> ids, CancellationToken cancellationToken)
    {
        var channel = await OpenAsync(_packs, cancellationToken);
        // Mandatory: a queue that somebody deleted must not swallow pointers silently.
        await channel.BasicPublishAsync(
            "", WorkQueues.Name(kind, priority), mandatory: true, Pack, JsonSerializer.SerializeToUtf8Bytes(new WorkPack { Kind = kind, Ids = ids }, QueueMaaSJson.Relaxed), cancellationToken);
    }

    public async ValueTask DisposeAsync()
    {
        await _events.DisposeAsync();
        await _packs.DisposeAsync();
    }

    private async ValueTask<IChannel> OpenAsync(Slot slot, CancellationToken cancellationToken)
    {
        if (slot.Channel is { IsOpen: true } open)
            return open;
        await slot.Opening.WaitAsync(cancellationToken);
        try
        {
            if (slot.Channel is { IsOpen: true } opened)
                return opened;
            if (slot.Channel is not null)
                await slot.Channel.DisposeAsync();
            slot.Channel = null;
            return slot.Channel = await connection.OpenChannelAsync(cancellationToken);
        }
        finally
        {
            slot.Opening.Release();
        }
    }

    private sealed class Slot : IAsyncDisposable
    {
        public SemaphoreSlim Opening { get; } = new(1);

        public IChannel? Channel { get; set; }

        public async ValueTask DisposeAsync()
        {
            if (Channel is not null)
                await Channel.DisposeAsync();
            Opening.Dispose();
        }
    }
}
