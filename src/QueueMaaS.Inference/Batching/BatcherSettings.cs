namespace QueueMaaS.Inference.Batching;

/// <summary>Settings of a <see cref="DynamicBatcher"/>.</summary>
public sealed record BatcherSettings
{
    /// <summary>Names the model in metrics.</summary>
    public required string Model { get; init; }
    /// <summary>Names the version in metrics.</summary>
    public required int Version { get; init; }
    /// <summary>Most rows computed together. Default 32.</summary>
    public int MaxBatchSize { get; init; } = 32;
    /// <summary>Sizes at which a batch is closed though it might grow. Default: none but the largest.</summary>
    public IReadOnlyList<int> PreferredBatchSizes { get; init; } = [];
    /// <summary>How long a request may wait for batch-mates while an instance is idle. Default zero.</summary>
    public TimeSpan MaxQueueDelay { get; init; }
    /// <summary>Most rows queued. Default 4,096.</summary>
    public int MaxQueueRows { get; init; } = 4096;
    /// <summary>Most memory held by the tensors of queued requests, in bytes. Default 256 MiB.</summary>
    public long MaxQueueBytes { get; init; } = 256L << 20;
    /// <summary>Most bytes of one answer of several parts; of one part the instance sees to it. Default: no limit.</summary>
    public long MaxAnswerBytes { get; init; } = AnswerLimit.None;
    /// <summary>True: a full queue refuses with <c>queue_full</c>. False (default): callers wait for room.</summary>
    public bool RejectWhenFull { get; init; }
    /// <summary>True where the model takes no batches: every request is computed whole and by itself.</summary>
    public bool Single { get; init; }
    /// <summary>The timeout of requests without a deadline of their own. Default: none.</summary>
    public TimeSpan? DefaultTimeout { get; init; }
    /// <summary>True: requests whose deadline has passed are computed after the others. False (default): they fail.</summary>
    public bool RunLate { get; init; }
    /// <summary>True: answers are given in the order of arrival. Default false.</summary>
    public bool PreserveOrdering { get; init; }
    /// <summary>The latency that batch size and delay are tuned for. Default: none, and they stay as set.</summary>
    public TimeSpan? LatencyTarget { get; init; }
    /// <summary>True: an answer with NaN or infinite numbers fails its request. Default false.</summary>
    public bool RejectNonFinite { get; init; }

    /// <summary>A timer of a busy machine rings late, and an entry that is let go at the last moment misses its deadline on an idle server.</summary>
    internal static readonly TimeSpan DeadlineLead = TimeSpan.FromMilliseconds(20);

    internal BatchQueueLimits Limits => new(MaxBatchSize, MaxQueueDelay, MaxQueueRows) { PreferredSizes = PreferredBatchSizes, MaxBytes = MaxQueueBytes, DeadlineLead = DeadlineLead };
}
