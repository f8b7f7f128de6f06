namespace QueueMaaS.Capacity;

/// <summary>What came of a simulated load.</summary>
/// <param name="Milliseconds">From each job's submission to the end of its way, sorted.</param>
/// <param name="Busy">Share of each pool's cores that computed.</param>
/// <param name="Waiting">Jobs that waited for each step at the end.</param>
/// <param name="Left">Jobs that had not ended when the load did; many where it is more than the layout carries.</param>
internal sealed record Outcome(double[] Milliseconds, IReadOnlyDictionary<string, double> Busy, IReadOnlyDictionary<Step, int> Waiting, int Left)
{
    public double Percentile(double share) => Milliseconds.Length == 0 ? double.PositiveInfinity : Milliseconds[Math.Min(Milliseconds.Length - 1, (int)(Milliseconds.Length * share))];
}

/// <summary>
/// Plays jobs that arrive at random through a layout, event by event: at each step they wait for a lane, then for one of its pool's cores, then for the disk.
/// Times of computation are exponential around the measured mean.
/// </summary>
internal sealed class Simulation
{
    // From how many members on a group is a sign of load, as in GroupCommit.
    private const int Busy = 8;
    private readonly Layout _layout;
    private readonly Random _random = new(1);
    private readonly PriorityQueue<Action, double> _events = new();
    private readonly Dictionary<Pool, Cores> _cores;
    private readonly Station[] _stations;
    private readonly List<double> _ended = [];
    private double _now;

    private Simulation(Layout layout)
    {
        _layout = layout;
        _cores = layout.Pools.ToDictionary(pool => pool, pool => new Cores(pool.AllCores));
        _stations = [.. layout.Steps.Select(step => new Station { FreeLanes = step.Lanes * step.By.Machines })];
    }

    public static Outcome Run(Layout layout, double rate, double seconds) => new Simulation(layout).Run(rate, seconds);

    /// <summary>The most jobs a second that 99 in 100 pass in a second.</summary>
    public static double Highest(Layout layout)
    {
        var (low, high) = (1.0, 200_000.0);
        while (high / low > 1.02)
        {
            var middle = Math.Sqrt(low * high);
            var outcome = Run(layout, middle, Math.Min(10, 60_000 / middle + 2));
            if (outcome.Percentile(0.99) <= 1000 && outcome.Left < middle)
                low = middle;
            else
                high = middle;
        }

        return low;
    }

    private Outcome Run(double rate, double seconds)
    {
        var arrived = 0;
        Arrive();
        while (_events.TryDequeue(out var happens, out var at) && at <= seconds)
        {
            _now = at;
            happens();
        }

        _ended.Sort();
        return new Outcome(
            [.. _ended],
            _layout.Pools.ToDictionary(pool => pool.Name, pool => _cores[pool].Computed / (pool.AllCores * seconds)),
            _layout.Steps.Select((step, i) => (step, _stations[i].Waiting.Count)).ToDictionary(),
            arrived - _ended.Count);

        void Arrive() => After(-Math.Log(1 - _random.NextDouble()) / rate, () =>
        {
            arrived++;
            Enter(0, _now);
            Arrive();
        });
    }

    private void Enter(int at, double submitted)
    {
        if (at == _stations.Length)
        {
            _ended.Add((_now - submitted) * 1000);
            return;
        }

        _stations[at].Waiting.Enqueue(submitted);
        Serve(at);
    }

    private void Serve(int at)
    {
        var (station, step) = (_stations[at], _layout.Steps[at]);
        while (station.FreeLanes > 0 && station.Waiting.Count > 0)
        {
            station.FreeLanes--;
            var group = new double[Math.Min(step.Group, station.Waiting.Count)];
            for (var i = 0; i < group.Length; i++)
                group[i] = station.Waiting.Dequeue();
            Compute(step.Pool, group.Length * step.Microseconds / 1e6 * Spread(group.Length), () => After(step.Wait / 1000, () =>
            {
                foreach (var submitted in group)
                    Enter(at + 1, submitted);
                After(group.Length >= Busy ? step.Gather / 1000 : 0, () =>
                {
                    station.FreeLanes++;
                    Serve(at);
                });
            }));
        }
    }

    private void Compute(Pool pool, double seconds, Action then)
    {
        var cores = _cores[pool];
        if (cores.Free == 0)
        {
            cores.Waiting.Enqueue((seconds, then));
            return;
        }

        cores.Free--;
        cores.Computed += seconds;
        After(seconds, () =>
        {
            cores.Free++;
            if (cores.Waiting.TryDequeue(out var next))
                Compute(pool, next.Seconds, next.Then);
            then();
        });
    }

    /// <summary>Exponential around the mean for one; the sum of many scatters by less, as that of so many exponential times does (for two and more by a normal distribution).</summary>
    private double Spread(int count)
    {
        if (count == 1)
            return -Math.Log(1 - _random.NextDouble());
        var normal = Math.Sqrt(-2 * Math.Log(1 - _random.NextDouble())) * Math.Cos(2 * Math.PI * _random.NextDouble());
        return Math.Max(0.1, 1 + (normal / Math.Sqrt(count)));
    }

    private void After(double seconds, Action happens) => _events.Enqueue(happens, _now + seconds);

    private sealed class Cores(int count)
    {
        public int Free { get; set; } = count;

        public double Computed { get; set; }

        public Queue<(double Seconds, Action Then)> Waiting { get; } = new();
    }

    private sealed class Station
    {
        public required int FreeLanes { get; set; }
        public Queue<double> Waiting { get; } = new();
    }
}
