using System.ComponentModel.DataAnnotations;

namespace QueueMaaS.Jobs;

/// <summary>The life of jobs (configuration section <c>Jobs</c>).</summary>
public sealed class JobOptions
{
    public const string Section = "Jobs";

    /// <summary>How long a worker may be silent before another takes its inference, batch or chunk job over. Default 15 s; renewed at a third of it.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "01:00:00")]
    public TimeSpan Lease { get; set; } = TimeSpan.FromSeconds(15);

    /// <summary>The same for training jobs. Default 30 s.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "01:00:00")]
    public TimeSpan TrainingLease { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>Attempts of a job that names no number. Default 3.</summary>
    [Range(1, 20)]
    public int MaxAttempts { get; set; } = 3;

    /// <summary>The first retry waits at most this long, each further one twice as long. Default 1 s.</summary>
    [Range(typeof(TimeSpan), "00:00:00", "1.00:00:00")]
    public TimeSpan RetryBase { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>No retry waits longer. Default 5 minutes.</summary>
    [Range(typeof(TimeSpan), "00:00:00", "7.00:00:00")]
    public TimeSpan RetryMax { get; set; } = TimeSpan.FromMinutes(5);

    /// <summary>How often due times, expired leases and lost pointers are looked for. Default 1 s.</summary>
    [Range(typeof(TimeSpan), "00:00:00.05", "00:05:00")]
    public TimeSpan SweepEvery { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>A queued job that no worker has claimed this long after its dispatch is dispatched again, then after twice as long, and so on. Default 20 s.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "1.00:00:00")]
    public TimeSpan RedispatchAfter { get; set; } = TimeSpan.FromSeconds(20);

    /// <summary>Most job pointers in one message. Default 32.</summary>
    [Range(1, 1024)]
    public int PackSize { get; set; } = 32;

    /// <summary>Most job pointers of one kind and priority class that lie in the broker at a time; the others wait their turn in the dispatching process, fair between tenants. Default 1,024.</summary>
    [Range(1, 1_000_000)]
    public int DispatchWindow { get; set; } = 1024;

    /// <summary>A job that has waited this much longer stands equal to one of the next higher priority, so that nothing starves. Default 30 s.</summary>
    [Range(typeof(TimeSpan), "00:00:00.001", "1.00:00:00")]
    public TimeSpan AgePerPriority { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>By kind (<c>Inference</c>, <c>Training</c>, <c>Batch</c>, <c>Chunk</c>, <c>Sweep</c>, <c>Evaluation</c>, <c>Promotion</c>, <c>Baseline</c>): what its jobs get that say nothing themselves. Default: the general settings, and no time limit.</summary>
    public Dictionary<Contracts.JobKind, KindOptions> Kinds { get; set; } = [];

    /// <summary>The largest submission in bytes, over HTTP and over the bus. Larger inputs go by reference. Default 4 MiB.</summary>
    [Range(1024, 64 * 1024 * 1024)]
    public int MaxSubmissionBytes { get; set; } = 4 * 1024 * 1024;

    /// <summary>Whether an inference job starts in the process that accepts it where that is a worker with room, and no job waits. Default true. False sends each by the queue, to whichever worker is free.</summary>
    public bool EagerStart { get; set; } = true;

    /// <summary>Training jobs that one worker runs at once. Default 1.</summary>
    [Range(1, 64)]
    public int TrainingSlots { get; set; } = 1;

    /// <summary>How long a worker holds the pointer of a training job while its slots are busy before it hands it back to the queue. Default 5 s.</summary>
    [Range(typeof(TimeSpan), "00:00:00.1", "00:10:00")]
    public TimeSpan TrainingPatience { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>How long a worker waits at shutdown for running jobs before it hands them back. Default 5 s.</summary>
    [Range(typeof(TimeSpan), "00:00:00", "00:10:00")]
    public TimeSpan ShutdownGrace { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>By final state (<c>Succeeded</c>, <c>Failed</c>, <c>Cancelled</c>, <c>Expired</c>): how long ended jobs are kept, with their results. Default: succeeded, cancelled and expired 30 days, failed 90 days; zero keeps them for ever.</summary>
    [Range(typeof(TimeSpan), "00:00:00", "36500.00:00:00")]
    public Dictionary<Contracts.JobState, TimeSpan> Retention { get; set; } = [];

    /// <summary>Artifacts that nothing names any more (files of deleted jobs, uploads that no job used) are deleted when nobody has used them for this time. Default 7 days; zero keeps them for ever.</summary>
    [Range(typeof(TimeSpan), "00:00:00", "3650.00:00:00")]
    public TimeSpan KeepUnusedArtifacts { get; set; } = TimeSpan.FromDays(7);
}

/// <summary>What jobs of one kind get that say nothing themselves.</summary>
public sealed class KindOptions
{
    /// <summary>Attempts. Default: the general setting.</summary>
    [Range(1, 20)]
    public int? MaxAttempts { get; set; }

    /// <summary>An attempt that takes longer is stopped. Default: none.</summary>
    [Range(typeof(TimeSpan), "00:00:00.1", "365.00:00:00")]
    public TimeSpan? Timeout { get; set; }

    /// <summary>The first retry waits at most this long. Default: the general setting.</summary>
    [Range(typeof(TimeSpan), "00:00:00", "1.00:00:00")]
    public TimeSpan? RetryBase { get; set; }

    /// <summary>No retry waits longer. Default: the general setting.</summary>
    [Range(typeof(TimeSpan), "00:00:00", "7.00:00:00")]
    public TimeSpan? RetryMax { get; set; }
}
