using System.Collections.Concurrent;

namespace QueueMaaS.Jobs.Notification;

/// <summary>What each receiver is being sent by this process, and until when it asked to be left alone.</summary>
internal sealed class ReceiverPlaces(int perReceiver, int perHost, TimeProvider time)
{
    private readonly ConcurrentDictionary<ReceiverAddress, int> _sending = new();
    private readonly ConcurrentDictionary<ReceiverAddress, DateTimeOffset> _paused = new();
    private int _inFlight;

    public int InFlight => Volatile.Read(ref _inFlight);

    /// <summary>What a notifier that has <paramref name="room"/> may take now.</summary>
    public TakeDeliveries Take(int room, TimeSpan hold)
    {
        var now = time.GetUtcNow();
        foreach (var (receiver, until) in _paused)
        {
            if (until <= now)
                _paused.TryRemove(new(receiver, until));
        }

        return new(room, hold, perReceiver, perHost, _sending.ToDictionary(), _paused.ToDictionary());
    }

    public void Enter(ReceiverAddress receiver)
    {
        Interlocked.Increment(ref _inFlight);
        _sending.AddOrUpdate(receiver, 1, static (_, count) => count + 1);
    }

    public void Leave(ReceiverAddress receiver)
    {
        Interlocked.Decrement(ref _inFlight);
        if (_sending.AddOrUpdate(receiver, 0, static (_, count) => count - 1) <= 0)
            _sending.TryRemove(new(receiver, 0));
    }

    public void Pause(ReceiverAddress receiver, DateTimeOffset until) => _paused[receiver] = until;
}
