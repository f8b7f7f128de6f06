namespace QueueMaaS.Storage.Database;

/// <summary>One job waits for the success of another.</summary>
public sealed class JobDependencyRow
{
    public required string JobId { get; set; }
    public required string DependsOn { get; set; }
}

/// <summary>A group of jobs; it has completed when as many of its jobs as it has in all have ended.</summary>
public sealed class JobGroupRow
{
    public required string Tenant { get; set; }
    public required string Id { get; set; }
    public required int Size { get; set; }
    public required DateTimeOffset CreatedAt { get; set; }
    public DateTimeOffset? CompletedAt { get; set; }

    /// <summary>How many of its jobs have ended and been deleted since.</summary>
    public int Deleted { get; set; }
}

/// <summary>A queue from which nothing is started.</summary>
public sealed class QueuePauseRow
{
    public required Contracts.JobKind Kind { get; set; }
    public required DateTimeOffset At { get; set; }
    public required string By { get; set; }
    public string? Reason { get; set; }
}

/// <summary>Makes a job at the times of a cron expression.</summary>
public sealed class ScheduleRow
{
    public required string Tenant { get; set; }
    public required string Name { get; set; }
    public required string Cron { get; set; }
    public required string TimeZone { get; set; }
    public required string Missed { get; set; }
    public required string Submission { get; set; }
    public bool Paused { get; set; }
    public required DateTimeOffset CreatedAt { get; set; }

    /// <summary>The next time at which a job is due; null when there is none any more.</summary>
    public DateTimeOffset? NextAt { get; set; }
    public DateTimeOffset? LastAt { get; set; }
    public string? LastJobId { get; set; }
    public string? LastError { get; set; }
}

/// <summary>A message that could not become a job, as it came.</summary>
public sealed class UnprocessableRow
{
    public required string Id { get; set; }
    public required string Tenant { get; set; }
    public required DateTimeOffset ReceivedAt { get; set; }
    public required string Code { get; set; }
    public required string Reason { get; set; }
    public string? ContentType { get; set; }
    public string? Headers { get; set; }
    public required byte[] Body { get; set; }
    public DateTimeOffset? ReplayedAt { get; set; }
    public string? ReplayedAs { get; set; }
}

/// <summary>Up to where events have been published on the bus.</summary>
public sealed class EventRelayRow
{
    public required int Id { get; set; }
    public required long Position { get; set; }
}
