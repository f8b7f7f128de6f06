namespace QueueMaaS.Jobs.Leasing;

/// <summary>
/// Tells which workers have ended, by locks that end with the process: whoever keeps them notices a <c>kill -9</c> at once, so that its jobs need not wait
/// for their leases. It is never needed: a worker that was not seen, hangs, or whose machine cannot be reached, is not told of here, and its leases expire by time.
/// A worker told of by mistake does no harm either: what it writes is refused, as after any lease that was taken over.
/// </summary>
public interface IWorkerPresence
{
    /// <summary>Shows that this process is there, until it ends. Called again every second: shows it anew where the lock was lost.</summary>
    Task ShowAsync(string worker, CancellationToken cancellationToken);

    /// <summary>The workers that hold leases and have ended.</summary>
    Task<IReadOnlyCollection<string>> GoneAsync(CancellationToken cancellationToken);
}
