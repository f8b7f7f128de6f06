using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Life;

namespace QueueMaaS.Jobs.Dispatch;

/// <summary>
/// Pointers of one queue of the broker. Only so many are in the broker at a time that the workers stay busy; the others wait here, where their order can still
/// change: fair between tenants, urgent before patient, and what has waited long before what is only more important.
/// </summary>
internal sealed class DispatchLane(JobKind kind, PriorityClass priority, int window, TimeSpan agePerPriority, double quantum)
{
    /// <summary>All jobs of a pack go to one worker, so it holds no more than about this many predicted seconds of computing: a burst of long ones is spread over all workers.</summary>
    private const double MostSeconds = 0.05;

    private readonly FairQueue<(string Id, double Cost)> _waiting = new(quantum);
    private readonly HashSet<string> _known = new(StringComparer.Ordinal);
    private double _waitingCost;
    private int _published;
    private int _underWay;

    public JobKind Kind => kind;

    public PriorityClass Priority => priority;

    public int Waiting => _waiting.Count;

    /// <summary>Whether a pack is on its way to the broker. May be asked by any thread.</summary>
    public bool IsSending => Volatile.Read(ref _underWay) > 0;

    /// <summary>Whether the broker held none of this lane's pointers at the last look.</summary>
    public bool IsEmptyInBroker { get; set; }

    /// <summary>Takes a pointer; false where the same one waits already.</summary>
    public bool Add(JobPointer pointer, double weight, double cost)
    {
        if (!_known.Add(pointer.Id))
            return false;
        _waiting.Enqueue(pointer.Tenant, weight, cost, pointer.Since.UtcTicks - (pointer.Priority * agePerPriority.Ticks), (pointer.Id, cost));
        _waitingCost += cost;
        return true;
    }

    /// <summary>
    /// The next pack of pointers, as far as there is room in the broker. Where a pack is under way, only a full one: what comes meanwhile goes together when that is confirmed, so that
    /// one alone goes at once, and under load packs fill.
    /// </summary>
    public List<string> Take(int most)
    {
        var taken = new List<string>();
        var room = window - Volatile.Read(ref _published);
        if (IsSending && Math.Min(room, _waiting.Count) < most && _waitingCost < MostSeconds)
            return taken;
        for (var cost = 0.0; taken.Count < most && taken.Count < room && cost < MostSeconds && _waiting.TryDequeue(out var next); cost += next.Cost)
        {
            _known.Remove(next.Id);
            taken.Add(next.Id);
            // What is left of adding and taking away must not add up.
            _waitingCost = _waiting.Count == 0 ? 0 : _waitingCost - next.Cost;
        }

        return taken;
    }

    /// <summary>One more pointer of this lane is in the broker.</summary>
    public void Enter() => Interlocked.Increment(ref _published);

    /// <summary>One of them is not any more: a worker claimed its job, or it ended otherwise. May be called by any thread.</summary>
    public void Leave() => Interlocked.Decrement(ref _published);

    /// <summary>A pack is on its way to the broker.</summary>
    public void Send() => Interlocked.Increment(ref _underWay);

    /// <summary>The broker has it, or it failed. May be called by any thread.</summary>
    public void Sent() => Interlocked.Decrement(ref _underWay);
}
