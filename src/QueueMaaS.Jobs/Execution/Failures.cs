using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Life;

namespace QueueMaaS.Jobs.Execution;

/// <summary>Decides what a failed attempt is followed by: by the kind of failure, the job's own policy, and its kind's.</summary>
internal sealed class Failures(JobOptions options, TimeProvider time)
{
    /// <summary>Out of memory three times over, an eighth of the batch is left; smaller ones will not help.</summary>
    private const int MostHalvings = 3;

    private static readonly FailureClass[] TriedAgain = [FailureClass.Transient, FailureClass.OutOfMemory, FailureClass.Timeout];

    public static FailureClass ClassOf(Exception exception) => exception switch
    {
        ProblemException { Problem.Code: ProblemCodes.OutOfMemory } or OutOfMemoryException => FailureClass.OutOfMemory,
        ProblemException { Problem.Code: ProblemCodes.AttemptTimeout } => FailureClass.Timeout,
        ProblemException { IsTransient: false } => FailureClass.Deterministic,
        // What we did not foresee may be a broken part as well as a broken program: it is tried again.
        _ => FailureClass.Transient,
    };

    public AttemptEnd End(JobRecord job, Problem problem, FailureClass failure, string worker)
    {
        var rules = job.GetRules();
        var halvings = failure == FailureClass.OutOfMemory ? Math.Log2(job.BatchDivisor) : 0;
        // A full disk or a storage that is away is no fault of the job's, and it takes a person, hours perhaps: it costs no attempt, whatever the policy says. Nor does a model that rests, or
        // whose queue has no room: the job was accepted, and waits.
        var again = problem.Code is ProblemCodes.StorageFull or ProblemCodes.ArtifactStorageUnavailable or ProblemCodes.ModelResting or ProblemCodes.QueueFull || (job.Attempt < job.MaxAttempts && halvings < MostHalvings && (rules.Retry?.On ?? TriedAgain).Contains(failure));
        var pause = Delays(job.Kind, rules.Retry).After(job.Attempt);
        if (problem.Details?.TryGetValue("retryAfterSeconds", out var asked) == true && asked.TryGetDouble(out var seconds) && TimeSpan.FromSeconds(seconds) > pause)
            pause = TimeSpan.FromSeconds(seconds);
        return new AttemptEnd(job, again ? JobState.Retrying : JobState.Failed)
        {
            Error = problem,
            RetryAt = again ? time.GetUtcNow() + pause : null,
            BatchDivisor = again && failure == FailureClass.OutOfMemory ? job.BatchDivisor * 2 : null,
            Worker = worker,
        };
    }

    /// <summary>How long an attempt of this job may take; null for as long as it likes.</summary>
    public TimeSpan? TimeoutOf(JobRecord job) => job.GetRules().TimeoutSeconds is { } seconds ? TimeSpan.FromSeconds(seconds) : options.Kinds.GetValueOrDefault(job.Kind)?.Timeout;

    private RetryDelays Delays(JobKind kind, RetryPolicy? own)
    {
        var byKind = options.Kinds.GetValueOrDefault(kind);
        return new RetryDelays(
            own?.BaseSeconds is { } first ? TimeSpan.FromSeconds(first) : byKind?.RetryBase ?? options.RetryBase,
            own?.MaxSeconds is { } most ? TimeSpan.FromSeconds(most) : byKind?.RetryMax ?? options.RetryMax);
    }
}
