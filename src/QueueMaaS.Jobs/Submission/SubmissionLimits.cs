using QueueMaaS.Contracts;

namespace QueueMaaS.Jobs.Submission;

/// <summary>The ranges of a submission's own fields, which are the same for every kind.</summary>
internal static class SubmissionLimits
{
    public static void Check(JobSubmission submission, string? idempotencyKey)
    {
        if (submission.Id is not null && !Identifiers.IsJobId(submission.Id))
            throw Invalid("id", "1 to 64 letters, digits or - _ . :");
        if (submission.Priority is < 0 or > 9)
            throw Invalid("priority", "a whole number from 0 (lowest) to 9 (highest)");
        if (submission.MaxAttempts is < 1 or > 20)
            throw Invalid("maxAttempts", "a whole number from 1 to 20");
        if (submission.Tags is { } tags && (tags.Count > 16 || tags.Any(tag => tag is not { Length: > 0 and <= 64 })))
            throw Invalid("tags", "at most 16 words of 1 to 64 characters");
        if (idempotencyKey is { Length: 0 or > 255 })
            throw Invalid("Idempotency-Key", "1 to 255 characters");
        if (submission is { Deadline: { } deadline, RunAt: { } runAt } && deadline <= runAt)
            throw Invalid("deadline", "later than `runAt`");
        if (submission is { DelaySeconds: not null, RunAt: not null })
            throw Invalid("delaySeconds", "left out where `runAt` is given");
        if (submission.DelaySeconds is { } delay && !(delay is >= 0 and <= 366 * 86_400.0))
            throw Invalid("delaySeconds", "seconds from 0 to 31622400");
        if (submission.TimeoutSeconds is { } timeout && !(timeout is > 0 and <= 30 * 86_400.0))
            throw Invalid("timeoutSeconds", "seconds above 0, up to 2592000");
        CheckTexts(submission, idempotencyKey);
        CheckRetry(submission.Retry);
        CheckUnique(submission.Unique);
        CheckRelations(submission);
    }

    /// <summary>What is stored as text: a database whose texts hold no NUL would refuse it, and with it the others of its group.</summary>
    private static void CheckTexts(JobSubmission submission, string? idempotencyKey)
    {
        RequireText("Idempotency-Key", idempotencyKey);
        RequireText("webhook.url", submission.Webhook?.Url);
        RequireText("webhook.secret", submission.Webhook?.Secret);
        RequireText("unique.key", submission.Unique?.Key);
        foreach (var tag in submission.Tags ?? [])
            RequireText("tags", tag);
    }

    private static void RequireText(string path, string? text)
    {
        if (text?.Contains('\0', StringComparison.Ordinal) == true)
            throw Invalid(path, "a text without NUL (U+0000)");
    }

    private static void CheckRetry(RetryPolicy? retry)
    {
        if (retry?.BaseSeconds is { } first && !(first is >= 0 and <= 7 * 86_400.0))
            throw Invalid("retry.baseSeconds", "seconds from 0 to 604800");
        if (retry?.MaxSeconds is { } most && !(most is >= 0 and <= 7 * 86_400.0))
            throw Invalid("retry.maxSeconds", "seconds from 0 to 604800");
    }

    private static void CheckUnique(UniqueRule? unique)
    {
        if (unique?.Key is { Length: 0 or > 255 })
            throw Invalid("unique.key", "1 to 255 characters");
        if (unique?.PeriodSeconds is { } period && !(period is >= 1 and <= 366 * 86_400.0))
            throw Invalid("unique.periodSeconds", "seconds from 1 to 31622400");
        if (unique?.States is { Count: 0 })
            throw Invalid("unique.states", "at least one state, or be left out");
    }

    private static void CheckRelations(JobSubmission submission)
    {
        if (submission.After is { } after && (after.Count > 64 || after.Any(id => !Identifiers.IsJobId(id))))
            throw Invalid("after", "at most 64 ids of jobs");
        if (submission.Id is { } own && submission.After?.Contains(own) == true)
            throw Invalid("after", "ids of other jobs than itself");
        if (submission is { Group: not null, Unique: not null })
            throw Invalid("unique", "left out where `group` is given: a job that is not made, because an equal one is there, would be missing in its group");
        if (submission.Group is { } group && (!Identifiers.IsJobId(group.Id) || group.Size is < 1 or > 100_000))
            throw Invalid("group", "an `id` of the same form as a job's and a `size` from 1 to 100000");
    }

    private static ProblemException Invalid(string field, string range) =>
        new(ProblemCodes.InvalidValue, $"`{field}` must be {range}.", ("path", field));
}
