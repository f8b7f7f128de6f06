namespace QueueMaaS.Inference.Batching;

/// <summary>Holds answers back until all requests that came before have theirs. Thread-safe.</summary>
internal sealed class OrderedAnswers
{
    private readonly Lock _gate = new();
    private readonly LinkedList<Action?> _places = new();

    /// <summary>A place behind all that came before.</summary>
    public LinkedListNode<Action?> Enter()
    {
        lock (_gate)
            return _places.AddLast((Action?)null);
    }

    /// <summary>Gives the answer now, or as soon as the places before have given theirs.</summary>
    public void Give(LinkedListNode<Action?> place, Action answer)
    {
        // Under the lock, or two threads could give theirs in the wrong order; an answer only wakes its caller and runs none of its code.
        lock (_gate)
        {
            if (place.List is null)
                return;
            place.Value = answer;
            while (_places.First is { Value: { } ready } first)
            {
                _places.Remove(first);
                ready();
            }
        }
    }
}
