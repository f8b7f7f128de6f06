namespace QueueMaaS.Jobs.Estimation;

/// <summary>What a worker tells about a model version that it has in memory.</summary>
/// <param name="Artifact">The version's file, <c>sha256:…</c>.</param>
/// <param name="PerRow">Seconds that each row adds to a batch, fitted to its measured batches.</param>
/// <param name="PerBatch">Seconds that each batch takes however small.</param>
/// <param name="BatchSize">Most rows in a batch, at least 1.</param>
/// <param name="Instances">Batches computed at the same time, at least 1.</param>
/// <param name="QueuedRows">Rows that wait in its batcher.</param>
/// <param name="At">When it was so.</param>
public sealed record ModelLoad(string Artifact, double PerRow, double PerBatch, int BatchSize, int Instances, int QueuedRows, DateTimeOffset At);

/// <summary>Where workers tell how busy they are and others read it. Losing it loses estimates, nothing else.</summary>
public interface ILoadBoard
{
    /// <summary>For how long a report holds: a worker that is silent longer is gone.</summary>
    static readonly TimeSpan Lifetime = TimeSpan.FromSeconds(5);

    /// <summary>Replaces what <paramref name="worker"/> told before about these versions.</summary>
    Task PutAsync(string worker, IReadOnlyList<ModelLoad> loads, CancellationToken cancellationToken);

    /// <summary>What the workers tell about a version; only reports that still hold.</summary>
    Task<IReadOnlyList<ModelLoad>> FindAsync(string artifact, CancellationToken cancellationToken);
}
