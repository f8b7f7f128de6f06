using QueueMaaS.Contracts;

namespace QueueMaaS.Jobs.Life;

/// <summary>What few jobs ask for, kept together as JSON so that the others do not pay for it.</summary>
public sealed record JobRules
{
    public static readonly JobRules None = new();

    /// <summary>An attempt that takes longer is stopped.</summary>
    public double? TimeoutSeconds { get; init; }

    public RetryPolicy? Retry { get; init; }

    /// <summary>Jobs that must succeed first.</summary>
    public IReadOnlyList<string>? After { get; init; }

    /// <summary>The size of its group.</summary>
    public int? GroupSize { get; init; }

    /// <summary>The schedule that made it.</summary>
    public string? Schedule { get; init; }

    /// <summary>The dead letter that it replays.</summary>
    public string? ReplayOf { get; init; }

    /// <summary>True where its own webhook is told of its log; null otherwise.</summary>
    public bool? WebhookOnLogs { get; init; }
}
