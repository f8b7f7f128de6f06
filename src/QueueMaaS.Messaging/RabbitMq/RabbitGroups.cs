using RabbitMQ.Client;
using RabbitMQ.Client.Events;

namespace QueueMaaS.Messaging.RabbitMq;

/// <summary>
/// Publishes messages in groups, one group after the other, each done when the broker has confirmed all of it. The client's own tracking of confirms takes a lock, a promise and
/// a header for every message; a group needs one of each.
/// </summary>
internal sealed class RabbitGroups(RabbitConnection connection) : IAsyncDisposable
{
    private readonly SemaphoreSlim _turn = new(1);
    private Session? _session;

    /// <summary>Publishes a group, and completes with the last confirm. After any failure the next group gets a new channel, and the broker may have some of this one.</summary>
    public async Task PublishAsync<T>(IReadOnlyList<T> messages, Func<IChannel, T, ValueTask> publish, CancellationToken cancellationToken)
    {
        await _turn.WaitAsync(cancellationToken);
        try
        {
            if (_session is not { Channel.IsOpen: true })
            {
                await CloseAsync();
                _session = new Session(await connection.OpenChannelAsync(tracksConfirms: false, cancellationToken));
            }

            var confirmed = _session.Await((ulong)messages.Count);
            foreach (var message in messages)
                await publish(_session.Channel, message);
            await confirmed.WaitAsync(cancellationToken);
        }
        catch
        {
            await CloseAsync();
            throw;
        }
        finally
        {
            _turn.Release();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await CloseAsync();
        _turn.Dispose();
    }

    private async Task CloseAsync()
    {
        if (_session is { } session)
            await session.Channel.DisposeAsync();
        _session = null;
    }

    /// <summary>A channel, and how many of its messages are confirmed: all up to a number, and some beyond it.</summary>
    private sealed class Session
    {
        private readonly Lock _lock = new();
        private readonly HashSet<ulong> _beyond = [];
        private ulong _upTo;
        private ulong _awaited;
        private TaskCompletionSource _group = new();

        public Session(IChannel channel)
        {
            Channel = channel;
            channel.BasicAcksAsync += OnAck;
            channel.BasicNacksAsync += (_, _) => Fail("the broker refused a message");
            channel.ChannelShutdownAsync += (_, reason) => Fail(reason.ReplyText);
        }

        public IChannel Channel { get; }

        /// <summary>Completes when so many messages more are confirmed than have been awaited before.</summary>
        public Task Await(ulong more)
        {
            lock (_lock)
            {
                _awaited += more;
                _group = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                return _group.Task;
            }
        }

        private Task OnAck(object sender, BasicAckEventArgs ack)
        {
            lock (_lock)
            {
                if (!ack.Multiple)
                    _beyond.Add(ack.DeliveryTag);
                else if (ack.DeliveryTag > _upTo)
                    _upTo = ack.DeliveryTag;
                while (_beyond.Remove(_upTo + 1))
                    _upTo++;
                if (_upTo >= _awaited)
                {
                    _beyond.Clear();
                    _group.TrySetResult();
                }
            }

            return Task.CompletedTask;
        }

        private Task Fail(string reason)
        {
            lock (_lock)
                _group.TrySetException(new IOException($"A group of messages is not confirmed: {reason}"));
            return Task.CompletedTask;
        }
    }
}
