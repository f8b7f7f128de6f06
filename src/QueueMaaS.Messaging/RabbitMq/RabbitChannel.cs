using RabbitMQ.Client;
using RabbitMQ.Client.Exceptions;

namespace QueueMaaS.Messaging.RabbitMq;

/// <summary>A channel for publishing, opened at the first use and again after it was lost.</summary>
internal sealed class RabbitChannel(RabbitConnection connection) : IAsyncDisposable
{
    private readonly SemaphoreSlim _opening = new(1);
    private readonly Lock _lock = new();
    private Shared? _shared;

    /// <summary>Publishes, and completes with the broker's confirm.</summary>
    /// <exception cref="PublishException">The broker refused a message, or had no queue for one that must have one.</exception>
    public async Task PublishAsync(Func<IChannel, Task> publish, CancellationToken cancellationToken)
    {
        var shared = await EnterAsync(cancellationToken);
        try
        {
            await publish(shared.Channel);
        }
        catch (PublishException exception) when (!exception.IsReturn)
        {
            // On a channel that was opened just as the node with a quorum queue's leader was lost, RabbitMQ 3.10 rejects everything for that queue until the node is back.
            GiveUp(shared);
            throw;
        }
        finally
        {
            await LeaveAsync(shared);
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_shared is not null)
            await _shared.Channel.DisposeAsync();
        _opening.Dispose();
    }

    private async ValueTask<Shared> EnterAsync(CancellationToken cancellationToken)
    {
        if (TryEnter() is { } open)
            return open;
        await _opening.WaitAsync(cancellationToken);
        try
        {
            if (TryEnter() is { } opened)
                return opened;
            var channel = new Shared(await connection.OpenChannelAsync(cancellationToken)) { Users = 1 };
            Shared? lost;
            lock (_lock)
            {
                lost = _shared?.Users == 0 ? _shared : null;
                _shared = channel;
            }

            if (lost is not null)
                await lost.Channel.DisposeAsync();
            return channel;
        }
        finally
        {
            _opening.Release();
        }
    }

    private Shared? TryEnter()
    {
        lock (_lock)
        {
            if (_shared is not { Channel.IsOpen: true } open)
                return null;
            open.Users++;
            return open;
        }
    }

    /// <summary>Whoever publishes next opens another channel. What is under way on this one is not cut off: the broker may confirm it yet.</summary>
    private void GiveUp(Shared shared)
    {
        lock (_lock)
        {
            if (_shared == shared)
                _shared = null;
        }
    }

    private async ValueTask LeaveAsync(Shared shared)
    {
        bool isLast;
        lock (_lock)
            isLast = --shared.Users == 0 && _shared != shared;
        if (isLast)
            await shared.Channel.DisposeAsync();
    }

    /// <summary>A channel, and how many publish on it.</summary>
    private sealed class Shared(IChannel channel)
    {
        public IChannel Channel => channel;

        public int Users { get; set; }
    }
}
