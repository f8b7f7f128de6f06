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
    }

    private static ProblemException Invalid(string field, string range) =>
        new(ProblemCodes.InvalidValue, $"`{field}` must be {range}.", ("path", field));
}
