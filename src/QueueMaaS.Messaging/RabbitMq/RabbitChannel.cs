using RabbitMQ.Client;
using RabbitMQ.Client.Exceptions;

namespace QueueMaaS.Messaging.RabbitMq;

/// <summary>A channel for publishing, opened at the first use and again after it was lost.</summary>
internal sealed class RabbitChannel(RabbitConnection connection) : IAsyncDisposable
{
    private readonly SemaphoreSlim _opening = new(1);
    private IChannel? _channel;

    /// <summary>Publishes, and completes with the broker's confirm.</summary>
    /// <exception cref="PublishException">The broker refused a message, or had no queue for one that must have one.</exception>
    public async Task PublishAsync(Func<IChannel, Task> publish, CancellationToken cancellationToken)
    {
        var channel = await OpenAsync(cancellationToken);
        try
        {
            await publish(channel);
        }
        catch (PublishException exception) when (!exception.IsReturn)
        {
            // On a channel that was opened just as the node with a quorum queue's leader was lost, RabbitMQ 3.10 rejects everything for that queue until the node is back.
            await GiveUpAsync(channel);
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_channel is not null)
            await _channel.DisposeAsync();
        _opening.Dispose();
    }

    private async ValueTask<IChannel> OpenAsync(CancellationToken cancellationToken)
    {
        if (_channel is { IsOpen: true } open)
            return open;
        await _opening.WaitAsync(cancellationToken);
        try
        {
            if (_channel is { IsOpen: true } opened)
                return opened;
            if (_channel is not null)
                await _channel.DisposeAsync();
            _channel = null;
            return _channel = await connection.OpenChannelAsync(cancellationToken);
        }
        finally
        {
            _opening.Release();
        }
    }

    private async Task GiveUpAsync(IChannel channel)
    {
        await _opening.WaitAsync();
        try
        {
            if (_channel == channel)
                _channel = null;
            await channel.DisposeAsync();
        }
        finally
        {
            _opening.Release();
        }
    }
}
