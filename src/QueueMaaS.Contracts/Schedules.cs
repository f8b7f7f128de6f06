namespace QueueMaaS.Contracts;

/// <summary>Makes a job at the times of a cron expression (<c>PUT /v1/schedules/{name}</c>).</summary>
public sealed record ScheduleDefinition
{
    /// <summary>Five fields (minute, hour, day, month, weekday), or six with seconds first.</summary>
    public required string Cron { get; init; }

    /// <summary>The time zone that the expression speaks of, such as <c>Europe/Berlin</c>. Default <c>UTC</c>. At a change of the clock a time that does not exist comes at the next that does, and one that comes twice comes once.</summary>
    public string? TimeZone { get; init; }

    /// <summary>What is done about times at which the service was away. Default <c>once</c>.</summary>
    public MissedRuns? Missed { get; init; }

    /// <summary>Makes no jobs while true.</summary>
    public bool? Paused { get; init; }

    /// <summary>The job, without <c>id</c>, <c>runAt</c> and <c>delaySeconds</c>.</summary>
    public required JobSubmission Job { get; init; }
}

/// <summary>What is done about times at which the service was away for more than a minute.</summary>
public enum MissedRuns
{
    /// <summary>One job for all of them.</summary>
    Once,
    /// <summary>None. One that is less than a minute late is not missed.</summary>
    Skip,
    /// <summary>A job for each, the latest 100 at most.</summary>
    All,
}

/// <summary>A schedule as the service shows it.</summary>
public sealed record Schedule
{
    /// <summary>Its name.</summary>
    public required string Name { get; init; }
    /// <summary>The cron expression.</summary>
    public required string Cron { get; init; }
    /// <summary>The time zone.</summary>
    public required string TimeZone { get; init; }
    /// <summary>What is done about missed times.</summary>
    public required MissedRuns Missed { get; init; }
    /// <summary>Whether it makes no jobs at the moment.</summary>
    public required bool Paused { get; init; }
    /// <summary>The job it makes. Its webhook's secret is not shown; it has to be given again where the schedule is replaced.</summary>
    public required JobSubmission Job { get; init; }
    /// <summary>When it was made.</summary>
    public required DateTimeOffset CreatedAt { get; init; }
    /// <summary>The next time; absent where the expression has no further one.</summary>
    public DateTimeOffset? NextAt { get; init; }
    /// <summary>The time of the latest job.</summary>
    public DateTimeOffset? LastAt { get; init; }
    /// <summary>The latest job.</summary>
    public string? LastJobId { get; init; }
    /// <summary>Why the latest job was refused, where it was.</summary>
    public string? LastError { get; init; }
}
