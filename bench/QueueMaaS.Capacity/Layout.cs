namespace QueueMaaS.Capacity;

/// <summary>Machines of one kind.</summary>
internal sealed record Pool(string Name, int Machines, int Cores)
{
    public int AllCores => Machines * Cores;
}

/// <summary>A part of a job's way, done on a pool for groups of jobs.</summary>
/// <param name="Name">What is done.</param>
/// <param name="Pool">Where it computes.</param>
/// <param name="By">Whose processes ask for it, one on each machine.</param>
/// <param name="Microseconds">Of a core, for each job of the group.</param>
/// <param name="Group">Most jobs taken at a time; those that wait when a lane becomes free.</param>
/// <param name="Lanes">Groups at a time for each process that asks.</param>
/// <param name="Wait">Milliseconds in which nothing computes: the disk.</param>
/// <param name="Gather">Milliseconds in which the next group gathers after one of eight or more.</param>
internal sealed record Step(string Name, Pool Pool, Pool By, double Microseconds, int Group = 1, int Lanes = 64, double Wait = 0, double Gather = 0);

/// <summary>Which machines there are, and the way of a job over them.</summary>
internal sealed record Layout(string Name, IReadOnlyList<Pool> Pools, IReadOnlyList<Step> Steps)
{
    /// <summary>All parts on one machine.</summary>
    public static Layout OneMachine(Figures figures, int cores)
    {
        var all = new Pool("machine", 1, cores);
        return new Layout($"one machine of {cores} cores", [all], [new Step("submit", all, all, figures.Load), .. Way(figures, all, all, all, all, all)]);
    }

    /// <summary>Each part on machines of its own. Several databases or brokers each take an equal share of the jobs.</summary>
    public static Layout Apart(string name, Figures figures, (int Machines, int Cores) api, (int Machines, int Cores) workers, (int Machines, int Cores) databases, (int Machines, int Cores) brokers, (int Machines, int Cores) notifiers)
    {
        var (a, w, d, b, n) = (new Pool("API", api.Machines, api.Cores), new Pool("workers", workers.Machines, workers.Cores), new Pool("PostgreSQL", databases.Machines, databases.Cores), new Pool("RabbitMQ", brokers.Machines, brokers.Cores), new Pool("notifiers", notifiers.Machines, notifiers.Cores));
        return new Layout(name, [a, w, d, b, n], Way(figures, a, w, d, b, n));
    }

    /// <summary>A job is committed three times and told of three times; that these take equal shares of PostgreSQL's and RabbitMQ's time is assumed.</summary>
    private static Step[] Way(Figures f, Pool api, Pool worker, Pool database, Pool broker, Pool notifier) =>
    [
        new("accept", api, api, f.Api),
        new("commit the job", database, api, f.PostgreSql / 3, Group: 512, Lanes: 1, Wait: f.CommitMilliseconds, Gather: 4),
        new("dispatch", broker, api, f.RabbitMq / 2, Group: 32, Lanes: 8, Wait: f.CommitMilliseconds),
        new("claim", database, worker, f.PostgreSql / 3, Group: 341, Lanes: 1, Wait: f.CommitMilliseconds, Gather: 4),
        new("compute", worker, worker, f.Worker),
        new("commit the result", database, worker, f.PostgreSql / 3, Group: 341, Lanes: 1, Wait: f.CommitMilliseconds, Gather: 4),
        // One notifier at a time relays, whatever their number, 1,024 events in a group.
        new("relay events", notifier, notifier with { Machines = 1 }, f.Notifier, Group: 341, Lanes: 1),
        new("publish events", broker, notifier with { Machines = 1 }, f.RabbitMq / 2, Group: 341, Lanes: 1, Wait: f.CommitMilliseconds),
    ];
}
