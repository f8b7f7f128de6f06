using System.Diagnostics;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Life;

namespace QueueMaaS.Jobs.Submission;

/// <summary>Where a submission comes from.</summary>
/// <param name="Tenant">Whose job it is.</param>
public sealed record SubmissionOrigin(string Tenant)
{
    /// <summary>The producer's key for safe repeats, if any.</summary>
    public string? IdempotencyKey { get; init; }

    /// <summary>The producer's trace (W3C <c>traceparent</c>), where it is not the current activity's.</summary>
    public string? TraceParent { get; init; }

    /// <summary>The schedule that makes it.</summary>
    public string? Schedule { get; init; }

    /// <summary>The dead letter that it replays.</summary>
    public string? ReplayOf { get; init; }

    /// <summary>Whether it may wait a moment for a place to start in at once: it is kept elsewhere meanwhile, and nobody waits for its answer.</summary>
    public bool CanWait { get; init; }

    /// <summary>What its caller may do; null: it comes from where nobody is asked, such as the bus or a schedule that was asked for when it was made.</summary>
    public IReadOnlyCollection<string>? Scopes { get; init; }
}

/// <summary>Makes the row of a checked submission.</summary>
internal sealed class JobRecords(JobOptions options, TimeProvider time)
{
    // A sweep only waits for its trials: to be taken over by another worker costs nothing, however often it happens.
    private const int SweepAttempts = 20;

    private static readonly JobState[] HoldsUnique = [.. Enum.GetValues<JobState>().Where(static state => !state.IsFinal())];

    public JobRecord Make(JobSubmission submission, SubmissionOrigin origin, string? model, IReadOnlyList<string> references)
    {
        var now = time.GetUtcNow();
        var runAt = submission.RunAt?.ToUniversalTime() ?? (submission.DelaySeconds is { } delay ? now + TimeSpan.FromSeconds(delay) : null);
        var kind = options.Kinds.GetValueOrDefault(submission.Kind);
        return new JobRecord
        {
            Id = submission.Id ?? Ulid.NewUlid(now).ToString(),
            Tenant = origin.Tenant,
            Kind = submission.Kind,
            State = runAt > now ? JobState.Scheduled : JobState.Queued,
            MaxAttempts = submission.MaxAttempts ?? kind?.MaxAttempts ?? (submission.Kind == JobKind.Sweep ? SweepAttempts : options.MaxAttempts),
            Priority = submission.Priority ?? 5,
            Model = model,
            Input = submission.Input.GetRawText(),
            RequestHash = RequestHash.Of(submission),
            IdempotencyKey = origin.IdempotencyKey,
            CreatedAt = now,
            DueAt = runAt ?? now,
            RunAt = runAt,
            Deadline = submission.Deadline?.ToUniversalTime(),
            Tags = submission.Tags is { Count: > 0 } tags ? JsonSerializer.Serialize(tags, QueueMaaSJson.Relaxed) : null,
            WebhookUrl = submission.Webhook?.Url,
            WebhookSecret = submission.Webhook?.Secret,
            WebhookOnStart = submission.Webhook is { } onStart && (onStart.Events?.Contains(WebhookEvent.Start) ?? true),
            WebhookOnCompleted = submission.Webhook is { } onEnd && (onEnd.Events?.Contains(WebhookEvent.Completed) ?? true),
            WebhookOnProgress = submission.Webhook?.Events?.Contains(WebhookEvent.Progress) ?? false,
            TraceParent = origin.TraceParent ?? Activity.Current?.Id,
            UniqueKey = submission.Unique is { } unique ? Key(submission, unique, now) : null,
            UniqueStates = submission.Unique is null ? null : $",{string.Join(',', submission.Unique.States ?? HoldsUnique)},",
            GroupId = submission.Group?.Id,
            Rules = Rules(submission, origin, references),
        };
    }

    private static string? Rules(JobSubmission submission, SubmissionOrigin origin, IReadOnlyList<string> references)
    {
        string[] after = [.. (submission.After ?? []).Concat(references).Distinct(StringComparer.Ordinal)];
        var rules = new JobRules
        {
            TimeoutSeconds = submission.TimeoutSeconds,
            Retry = submission.Retry,
            After = after.Length == 0 ? null : after,
            GroupSize = submission.Group?.Size,
            Schedule = origin.Schedule,
            ReplayOf = origin.ReplayOf,
            WebhookOnLogs = submission.Webhook?.Events?.Contains(WebhookEvent.Logs) == true ? true : null,
        };
        return rules == JobRules.None ? null : JsonSerializer.Serialize(rules, QueueMaaSJson.Relaxed);
    }

    private static string Key(JobSubmission submission, UniqueRule unique, DateTimeOffset now)
    {
        var period = unique.PeriodSeconds is { } seconds ? (long)(now.ToUnixTimeMilliseconds() / (seconds * 1000)) : 0;
        var what = unique.Key ?? $"{submission.Kind}\n{submission.Input.GetRawText()}";
        return $"{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(what)))}/{period}";
    }
}
