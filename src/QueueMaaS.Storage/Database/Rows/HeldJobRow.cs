namespace QueueMaaS.Storage.Database;

/// <summary>A queued job that waits for a place among those that its tenant may run at the same time. Only a note: whether the job is still queued stands in its own row.</summary>
public sealed class HeldJobRow
{
    public required string JobId { get; set; }
    public required string Tenant { get; set; }
    public required Contracts.JobKind Kind { get; set; }

    /// <summary>Since when it waits, in milliseconds, put forward by its priority: the lowest goes first.</summary>
    public required long Rank { get; set; }
}
