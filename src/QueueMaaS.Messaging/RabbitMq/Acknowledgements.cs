using System.Threading.Channels;
using RabbitMQ.Client.Exceptions;

namespace QueueMaaS.Messaging.RabbitMq;

/// <summary>
/// Acknowledges the deliveries of one channel. Messages end nearly in the order in which they came, and a quorum queue writes every acknowledgement down; so all up to the first
/// that is still under way go in one. A message that takes longer does not hold the others back for ever: once many have ended behind it, they go one by one.
/// </summary>
/// <param name="acknowledge">Acknowledges one delivery, or all up to it.</param>
/// <param name="giveBack">Gives one delivery back to its queue.</param>
/// <param name="mostBehind">So many may wait behind one that is under way.</param>
internal sealed class Acknowledgements(Func<ulong, bool, ValueTask> acknowledge, Func<ulong, ValueTask> giveBack, int mostBehind)
{
    private readonly Channel<(ulong Tag, bool GivenBack)> _ended = Channel.CreateUnbounded<(ulong, bool)>(new UnboundedChannelOptions { SingleReader = true });
    private readonly HashSet<ulong> _waiting = [];
    private readonly HashSet<ulong> _gone = [];
    private ulong _next = 1;

    /// <summary>The message is done with.</summary>
    public void Add(ulong tag) => _ended.Writer.TryWrite((tag, false));

    /// <summary>The message goes back to the queue.</summary>
    public void GiveBack(ulong tag) => _ended.Writer.TryWrite((tag, true));

    /// <summary>No more come.</summary>
    public void Complete() => _ended.Writer.TryComplete();

    /// <summary>Acknowledges until <see cref="Complete"/>, or until the channel is closed: then the broker gives out again what it has not heard of.</summary>
    public async Task RunAsync()
    {
        try
        {
            while (await _ended.Reader.WaitToReadAsync())
                await TakeEndedAsync();

            foreach (var tag in _waiting)
                await acknowledge(tag, false);
        }
        catch (Exception exception) when (exception is AlreadyClosedException or OperationInterruptedException or ObjectDisposedException or IOException)
        {
            // The channel is gone, and every delivery of it with it.
        }
    }

    /// <summary>Acknowledges what has ended by now.</summary>
    internal async Task TakeEndedAsync()
    {
        while (_ended.Reader.TryRead(out var ended))
        {
            if (ended.GivenBack)
            {
                await giveBack(ended.Tag);
                _gone.Add(ended.Tag);
            }
            else
            {
                _waiting.Add(ended.Tag);
            }
        }

        ulong last = 0;
        while (true)
        {
            if (_waiting.Remove(_next))
                last = _next;
            else if (!_gone.Remove(_next))
                break;
            _next++;
        }

        if (last > 0)
            await acknowledge(last, true);
        if (_waiting.Count < mostBehind)
            return;
        foreach (var tag in _waiting)
        {
            await acknowledge(tag, false);
            _gone.Add(tag);
        }

        _waiting.Clear();
    }
}
