using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Catalog;
using QueueMaaS.Jobs.Life;

namespace QueueMaaS.Jobs.Estimation;

/// <summary>Says when an inference job will probably start and finish, from what waits before it and from what batches take on the workers that have its model in memory.</summary>
public sealed class JobEstimator(ILoadBoard board, IModelCatalog models, IJobStore jobs, TimeProvider time)
{
    // Beyond it the estimate is a long time anyway, and counting is work.
    private const int MostCounted = 10_000;

    // Workers report once a second, and an estimate is no promise: under load one question answers many.
    private static readonly TimeSpan Fresh = TimeSpan.FromMilliseconds(250);
    private readonly Remembered<string, IReadOnlyList<ModelLoad>> _loads = new(Fresh, time);
    private readonly Remembered<(string Tenant, string? Model, int Priority), int> _ahead = new(Fresh, time);

    /// <summary>A job that was accepted just now, as <see cref="WithEstimateAsync"/>: all that waits with at least its priority is before it.</summary>
    public Task<Job> WithFirstEstimateAsync(JobRecord record, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(record);
        return EstimateAsync(record, () => _ahead.GetAsync((record.Tenant, record.Model, record.Priority), () => jobs.CountAheadAsync(record, MostCounted, CancellationToken.None)), cancellationToken);
    }

    /// <summary>The job with its expected times; as it is where it has ended, is of another kind, or no worker has measured its model yet.</summary>
    public Task<Job> WithEstimateAsync(JobRecord record, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(record);
        return EstimateAsync(record, () => jobs.CountAheadAsync(record, MostCounted, cancellationToken), cancellationToken);
    }

    private async Task<Job> EstimateAsync(JobRecord record, Func<Task<int>> countAhead, CancellationToken cancellationToken)
    {
        var job = record.ToJob();
        if (record.Kind != JobKind.Inference || record.State is not (JobState.Queued or JobState.Running) || !VersionReference.TryParse(record.Model ?? "", out var reference))
            return job;
        if (await models.ResolveAsync(record.Tenant, reference, cancellationToken) is not { } version)
            return job;
        var loads = await _loads.GetAsync(version.Artifact, () => board.FindAsync(version.Artifact, CancellationToken.None)).WaitAsync(cancellationToken);
        if (loads.Count == 0)
            return job;
        var waiting = record.State == JobState.Queued ? await countAhead().WaitAsync(cancellationToken) : 0;
        var now = time.GetUtcNow();
        var (start, finish) = Estimate(loads, waiting);
        return record.State == JobState.Queued
            ? job with { ExpectedStart = now + start, ExpectedFinish = now + finish }
            : job with { ExpectedFinish = now + finish };
    }

    /// <summary>Counted from now, for a request of one row with <paramref name="waiting"/> others before it that no worker has taken yet.</summary>
    public static (TimeSpan Start, TimeSpan Finish) Estimate(IReadOnlyList<ModelLoad> loads, int waiting)
    {
        ArgumentNullException.ThrowIfNull(loads);
        // All workers together clear this many rows a second; the slower ones take their smaller share.
        var rate = loads.Sum(static load => load.Instances * load.BatchSize / Math.Max(FullBatch(load), 1e-9));
        var before = waiting + loads.Sum(static load => (long)load.QueuedRows);
        var batch = loads.Min(static load => load.BatchSize);
        // What fits into the next batch does not wait for a batch before it.
        var start = before < batch ? 0 : before / rate;
        var own = loads.Average(static load => load.PerBatch + load.PerRow);
        return (TimeSpan.FromSeconds(start), TimeSpan.FromSeconds(start + own));
    }

    private static double FullBatch(ModelLoad load) => load.PerBatch + (load.PerRow * load.BatchSize);
}
