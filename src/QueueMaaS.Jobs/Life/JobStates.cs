using QueueMaaS.Contracts;

namespace QueueMaaS.Jobs.Life;

/// <summary>Which changes of state there are. Everything that changes a job asks here, so an illegal change cannot be written.</summary>
public static class JobStates
{
    private static readonly Dictionary<JobState, JobState[]> Allowed = new()
    {
        [JobState.Scheduled] = [JobState.Queued, JobState.Cancelled, JobState.Expired, JobState.Paused],
        [JobState.Queued] = [JobState.Running, JobState.Cancelled, JobState.Expired, JobState.Paused],
        [JobState.Running] = [JobState.Succeeded, JobState.Failed, JobState.Retrying, JobState.Cancelled, JobState.Queued, JobState.Paused],
        [JobState.Retrying] = [JobState.Queued, JobState.Cancelled, JobState.Expired, JobState.Paused],
        [JobState.Paused] = [JobState.Queued, JobState.Scheduled, JobState.Cancelled],
        // A person can put a failed job back: the only way out of a final state, and only by that request.
        [JobState.Failed] = [JobState.Queued],
        [JobState.Succeeded] = [],
        [JobState.Cancelled] = [],
        [JobState.Expired] = [],
    };

    /// <summary>The states a job ends in.</summary>
    public static bool IsFinal(this JobState state) => state is JobState.Succeeded or JobState.Failed or JobState.Cancelled or JobState.Expired;

    /// <summary>Whether a job may go from one state to the other.</summary>
    public static bool CanBecome(this JobState from, JobState to) => Allowed[from].Contains(to);

    /// <summary>The states from which a job may go to <paramref name="to"/>.</summary>
    public static JobState[] Before(JobState to) => [.. Allowed.Where(entry => entry.Value.Contains(to)).Select(entry => entry.Key)];
}
