using System.Text.Json;

namespace QueueMaaS.Contracts;

/// <summary>The two kinds of dead letter.</summary>
public enum DeadLetterType
{
    /// <summary>A job that used up its attempts, or whose failure no further attempt can help.</summary>
    Failed,
    /// <summary>A message from the bus that could not become a job.</summary>
    Unprocessable,
}

/// <summary>What could not be done, kept as it came.</summary>
public sealed record DeadLetter
{
    /// <summary>The job's id, or the message's.</summary>
    public required string Id { get; init; }
    /// <summary>Which kind of dead letter.</summary>
    public required DeadLetterType Type { get; init; }
    /// <summary>When it failed, or came.</summary>
    public required DateTimeOffset At { get; init; }
    /// <summary>Why, for programs.</summary>
    public required string Code { get; init; }
    /// <summary>Why, for people.</summary>
    public required string Reason { get; init; }
    /// <summary>The job's kind.</summary>
    public JobKind? Kind { get; init; }
    /// <summary>The job's model.</summary>
    public string? Model { get; init; }
    /// <summary>Attempts made.</summary>
    public int? Attempt { get; init; }
    /// <summary>The job's input; left out of lists.</summary>
    public JsonElement? Input { get; init; }
    /// <summary>The message's body as text; left out of lists.</summary>
    public string? Body { get; init; }
    /// <summary>The message's body, where it is not text.</summary>
    public string? BodyBase64 { get; init; }
    /// <summary>The message's headers; left out of lists.</summary>
    public IReadOnlyDictionary<string, string>? Headers { get; init; }
    /// <summary>The job that replayed a message.</summary>
    public string? ReplayedAs { get; init; }
}

/// <summary>Which dead letters to replay (<c>POST /v1/dead-letters/replay</c>): all that fit every condition given.</summary>
public sealed record ReplayFilter
{
    /// <summary>Which kind of dead letter. Default <c>failed</c>.</summary>
    public DeadLetterType? Type { get; init; }
    /// <summary>The kind of job.</summary>
    public JobKind? Kind { get; init; }
    /// <summary>The model.</summary>
    public string? Model { get; init; }
    /// <summary>The error's code.</summary>
    public string? Code { get; init; }
    /// <summary>A tag.</summary>
    public string? Tag { get; init; }
    /// <summary>Accepted, or come, at this moment or later.</summary>
    public DateTimeOffset? From { get; init; }
    /// <summary>Accepted, or come, before this moment.</summary>
    public DateTimeOffset? Until { get; init; }
    /// <summary>Most to replay, 1 to 1,000. Default 1,000.</summary>
    public int? Limit { get; init; }
}

/// <summary>What a replay of many did.</summary>
/// <param name="Replayed">Ids of the jobs that run again.</param>
/// <param name="Refused">Those that cannot: id and reason.</param>
public sealed record ReplayResult(IReadOnlyList<string> Replayed, IReadOnlyDictionary<string, Problem> Refused);

/// <summary>A single dead letter with something changed (<c>POST /v1/dead-letters/{id}/replay</c>).</summary>
public sealed record ReplayRequest
{
    /// <summary>For a failed job: run a new job with this input, and everything else as it was. Default: the same job runs again.</summary>
    public JsonElement? Input { get; init; }
    /// <summary>For a message: the corrected submission. Default: the message as it came.</summary>
    public JsonElement? Submission { get; init; }
}
