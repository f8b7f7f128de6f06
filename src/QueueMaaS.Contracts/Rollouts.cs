namespace QueueMaaS.Contracts;

/// <summary>Asks for a rollout (<c>POST /v1/models/{name}/rollouts</c>): a version takes a growing share of a model's traffic, and becomes <c>production</c> or takes none any more, by what it and the production version really served.</summary>
public sealed record RolloutRequest
{
    /// <summary>The version.</summary>
    public required int Version { get; init; }
    /// <summary>The alias that it gets meanwhile. Default <c>canary</c>.</summary>
    public string Alias { get; init; } = "canary";
    /// <summary>Shares of the requests that name the model alone, ascending, each over 0 and below 1, 1 to 20 of them. Default one step of 0.1.</summary>
    public IReadOnlyList<double> Steps { get; init; } = [0.1];
    /// <summary>Requests that the version has to serve in each step, and production too where a limit is relative to it, 1 to 100,000,000. Default 100.</summary>
    public int MinRequests { get; init; } = 100;
    /// <summary>How long each step lasts at least, 0 to 2,592,000 seconds. Default 60.</summary>
    public double MinSeconds { get; init; } = 60;
    /// <summary>How long a step may last; without a verdict by then the version is rolled back. Above <see cref="MinSeconds"/>, up to 2,592,000. Default 86,400.</summary>
    public double MaxSeconds { get; init; } = 86_400;
    /// <summary>Limits of the share of requests that fail.</summary>
    public ErrorRateLimits? ErrorRate { get; init; }
    /// <summary>Limits of the time that requests take.</summary>
    public LatencyLimits? Latency { get; init; }
}

/// <summary>Limits of the share of requests that fail. At least one is given.</summary>
public sealed record ErrorRateLimits
{
    /// <summary>The greatest share, 0 to below 1.</summary>
    public double? Max { get; init; }
    /// <summary>By how much it may be greater than production's, 0 to below 1.</summary>
    public double? MaxIncrease { get; init; }
}

/// <summary>Limits of the time that 99 % of the requests take, from the batcher's queue to the answer. At least one is given.</summary>
public sealed record LatencyLimits
{
    /// <summary>The greatest, above 0 to 600,000 milliseconds.</summary>
    public double? P99Ms { get; init; }
    /// <summary>How many times production's it may be, 0.1 to 1,000.</summary>
    public double? MaxFactor { get; init; }
}

/// <summary>How a rollout stands.</summary>
public enum RolloutState
{
    /// <summary>It goes on.</summary>
    Running,
    /// <summary>The version is <c>production</c>.</summary>
    Promoted,
    /// <summary>The version takes no share any more.</summary>
    RolledBack,
}

/// <summary>A rollout.</summary>
public sealed record Rollout
{
    /// <summary>Its id.</summary>
    public required string Id { get; init; }
    /// <summary>The model.</summary>
    public required string Model { get; init; }
    /// <summary>What was asked for.</summary>
    public required RolloutRequest Request { get; init; }
    /// <summary>The production version when it began, which the version is compared with.</summary>
    public required int Production { get; init; }
    /// <summary>How it stands.</summary>
    public required RolloutState State { get; init; }
    /// <summary>The step, from 1.</summary>
    public required int Step { get; init; }
    /// <summary>The version's share in this step.</summary>
    public required double Share { get; init; }
    /// <summary>When the step began.</summary>
    public required DateTimeOffset StepStartedAt { get; init; }
    /// <summary>When it was asked for.</summary>
    public required DateTimeOffset CreatedAt { get; init; }
    /// <summary>When it ended.</summary>
    public DateTimeOffset? EndedAt { get; init; }
    /// <summary>Why it stands as it does, in a sentence.</summary>
    public string? Reason { get; init; }
    /// <summary>What the version served in this step, on all workers; left out in lists.</summary>
    public ServedFigures? Served { get; init; }
    /// <summary>What production served in the same time.</summary>
    public ServedFigures? ServedByProduction { get; init; }
    /// <summary>The limits as they stand; left out in lists.</summary>
    public IReadOnlyList<JudgedCondition>? Conditions { get; init; }
}

/// <summary>What a version served to requests that named the model alone.</summary>
/// <param name="Version">The version.</param>
/// <param name="Requests">Requests computed or failed, those that were refused for what they were left out.</param>
/// <param name="Errors">Those that failed.</param>
/// <param name="P50Ms">Half of the answered took no longer; to 2 %.</param>
/// <param name="P99Ms">99 % of the answered took no longer; to 2 %.</param>
public sealed record ServedFigures(int Version, long Requests, long Errors, double? P50Ms, double? P99Ms);
