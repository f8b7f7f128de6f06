using QueueMaaS.Contracts;

namespace QueueMaaS.Jobs.Notification;

/// <summary>A change of a job, told to whoever waits for it.</summary>
/// <param name="Id">The job.</param>
/// <param name="State">What it is now.</param>
/// <param name="Sequence">The number of the event that tells of it; 0 where there is none.</param>
public readonly record struct JobChange(string Id, JobState State, long Sequence)
{
    /// <summary>A worker took a pointer at the job from the bus and left the job as it is: there was no place for it, or another has it.</summary>
    public static JobChange PointerTaken(string id) => new(id, JobState.Queued, 0);

    /// <summary>Whether a pointer at the job that was on the bus is there no more.</summary>
    public bool TakesPointer => State != JobState.Queued || Sequence == 0;
}

/// <summary>Wake-ups between processes. Only a signal: whoever misses one finds the truth in the table.</summary>
public interface IJobSignals
{
    Task PublishAsync(IReadOnlyList<JobChange> changes, CancellationToken cancellationToken);

    /// <summary>Calls back for every change until disposed. The callback must not block.</summary>
    IDisposable Subscribe(Action<JobChange> onChange);
}

/// <summary>A cache of ended jobs as the API answers them, for fast polling. Losing it loses speed, not data.</summary>
public interface IJobCache
{
    /// <summary>The job's JSON (<see cref="Life.JobJson"/>); null where it is not here.</summary>
    ValueTask<ReadOnlyMemory<byte>?> FindAsync(string tenant, string id, CancellationToken cancellationToken);

    Task PutAsync(IReadOnlyList<Life.JobRecord> jobs, CancellationToken cancellationToken);

    Task RemoveAsync(string tenant, IReadOnlyList<string> ids, CancellationToken cancellationToken);
}

/// <summary>Decides whether a webhook may be sent somewhere.</summary>
public interface IWebhookTargetPolicy
{
    /// <summary>Throws <c>webhook_target_refused</c> or <c>invalid_value</c> for a target that could never be allowed. The address itself is checked again when it is resolved for sending.</summary>
    void Check(WebhookTarget target);

    /// <summary>The same for an address alone, which stands at <paramref name="path"/> of the request.</summary>
    void CheckUrl(string url, string path);
}
