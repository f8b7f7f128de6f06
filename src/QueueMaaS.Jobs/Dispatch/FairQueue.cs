namespace QueueMaaS.Jobs.Dispatch;

/// <summary>
/// Items of many tenants, taken so that each tenant gets its share of the predicted time, however much the others have waiting; within a tenant the most urgent first.
/// Not safe for several threads.
/// </summary>
/// <remarks>Source: M. Shreedhar and G. Varghese, "Efficient Fair Queuing Using Deficit Round Robin", SIGCOMM 1995.</remarks>
internal sealed class FairQueue<T>(double quantum)
{
    private readonly Dictionary<string, Line> _lines = new(StringComparer.Ordinal);
    private readonly LinkedList<Line> _round = [];

    public int Count { get; private set; }

    /// <summary>Adds an item.</summary>
    /// <param name="tenant">Whose it is.</param>
    /// <param name="weight">The tenant's share compared with the others'.</param>
    /// <param name="cost">What it will probably take, in seconds.</param>
    /// <param name="urgency">Its place among its tenant's items: the smallest is the most urgent.</param>
    /// <param name="item">The item.</param>
    public void Enqueue(string tenant, double weight, double cost, long urgency, T item)
    {
        if (!_lines.TryGetValue(tenant, out var line))
        {
            line = new Line(tenant);
            _lines[tenant] = line;
            _round.AddLast(line.Place);
        }

        line.Weight = weight;
        line.Items.Enqueue((item, cost), urgency);
        Count++;
    }

    /// <summary>Takes the next item of the tenant whose turn it is.</summary>
    public bool TryDequeue(out T item)
    {
        while (_round.First is { } place)
        {
            var line = place.Value;
            var (next, cost) = line.Items.Peek();
            if (!line.HasTurn)
            {
                line.HasTurn = true;
                line.Deficit += quantum * line.Weight;
            }

            if (line.Deficit < cost)
            {
                // Its turn is over; what is left of it counts in the next round.
                line.HasTurn = false;
                _round.RemoveFirst();
                _round.AddLast(place);
                // Alone, it need not go round and round to save up for a large item.
                if (_round.Count == 1)
                    line.Deficit = cost;
                continue;
            }

            line.Deficit -= cost;
            _ = line.Items.Dequeue();
            Count--;
            if (line.Items.Count == 0)
            {
                // Who has nothing waiting saves nothing up.
                _round.RemoveFirst();
                _lines.Remove(line.Tenant);
            }

            item = next;
            return true;
        }

        item = default!;
        return false;
    }

    private sealed class Line
    {
        public Line(string tenant)
        {
            Tenant = tenant;
            Place = new LinkedListNode<Line>(this);
        }

        public string Tenant { get; }
        public LinkedListNode<Line> Place { get; }
        public PriorityQueue<(T Item, double Cost), long> Items { get; } = new();
        public double Weight { get; set; } = 1;
        public double Deficit { get; set; }
        public bool HasTurn { get; set; }
    }
}
