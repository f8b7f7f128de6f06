using System.Text.Json;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Dispatch;
using QueueMaaS.Messaging.Dispatch;
using QueueMaaS.Messaging.Events;
using RabbitMQ.Client;
using RabbitMQ.Client.Exceptions;

namespace QueueMaaS.Messaging.RabbitMq;

/// <summary>Publishes events and pointers, each on a channel of its own, and completes with the broker's confirm.</summary>
internal sealed class RabbitPublisher(RabbitConnection connection, string queueType) : IEventPublisher, IDispatchQueue, IAsyncDisposable
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

    public Task PublishAsync(IReadOnlyList<JobEvent> events, CancellationToken cancellationToken) => OnChannelAsync(
        _events,
        channel => Task.WhenAll(events.Select(happened => channel.BasicPublishAsync(
            BusNames.EventsExchange, EventRelay.RoutingKey(happened), mandatory: false, Transient, JsonSerializer.SerializeToUtf8Bytes(happened, QueueMaaSJson.Relaxed), cancellationToken).AsTask())),
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
            await DeclareAsync(queue, cancellationToken);
            await SendAsync();
        }

        // Mandatory: a queue that is not there must not swallow pointers silently.
        Task SendAsync() => OnChannelAsync(_packs, channel => channel.BasicPublishAsync("", queue, mandatory: true, Pack, body, cancellationToken).AsTask(), cancellationToken);
    }

    public async ValueTask DisposeAsync()
    {
        await _events.DisposeAsync();
        await _packs.DisposeAsync();
    }

    /// <summary>As the workers' endpoints declare it; RabbitMQ refuses a queue that is there in another form, and closes the channel.</summary>
    private async Task DeclareAsync(string queue, CancellationToken cancellationToken)
    {
        await using var channel = await connection.OpenChannelAsync(cancellationToken);
        var arguments = queueType == "quorum" ? new Dictionary<string, object?> { ["x-queue-type"] = queueType } : null;
        await channel.QueueDeclareAsync(queue, durable: true, exclusive: false, autoDelete: false, arguments, cancellationToken: cancellationToken);
    }

    private async Task OnChannelAsync(Slot slot, Func<IChannel, Task> publish, CancellationToken cancellationToken)
    {
        var channel = await OpenAsync(slot, cancellationToken);
        try
        {
            await publish(channel);
        }
        catch (PublishException exception) when (!exception.IsReturn)
        {
            // On a channel that was opened just as the node with a quorum queue's leader was lost, RabbitMQ 3.10 rejects everything for that queue until the node is back.
            await GiveUpAsync(slot, channel);
            throw;
        }
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

    private static async Task GiveUpAsync(Slot slot, IChannel channel)
    {
        await slot.Opening.WaitAsync();
        try
        {
            if (slot.Channel == channel)
                slot.Channel = null;
            await channel.DisposeAsync();
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
