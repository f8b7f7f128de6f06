using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Logging;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Dispatch;
using QueueMaaS.Jobs.Life;
using QueueMaaS.Jobs.Notification;
using QueueMaaS.Jobs.Tenants;
using QueueMaaS.Storage.Database.Pipeline;

namespace QueueMaaS.Storage.Database;

/// <summary>The jobs table: what every job goes through, by the pipeline of the database at hand. (The rest is in the files beside.)</summary>
public sealed partial class JobStore : IJobStore
{
    private readonly DatabaseSession _database;
    private readonly IJobPipeline _pipeline;
    private readonly DispatchInbox _dispatch;
    private readonly IJobSignals _signals;
    private readonly IJobCache _cache;
    private readonly TenantLimits _limits;
    private readonly TimeProvider _time;
    private readonly ILogger<JobStore> _logger;

    internal JobStore(DatabaseSession database, IJobPipeline pipeline, DispatchInbox dispatch, IJobSignals signals, IJobCache cache, TenantLimits limits, TimeProvider time, ILogger<JobStore> logger)
    {
        _database = database;
        _pipeline = pipeline;
        _dispatch = dispatch;
        _signals = signals;
        _cache = cache;
        _limits = limits;
        _time = time;
        _logger = logger;
    }

    public async Task<IReadOnlyList<AcceptOutcome>> AcceptAsync(IReadOnlyList<JobRecord> jobs, CancellationToken cancellationToken)
    {
        var outcomes = jobs.Any(job => job.Rules is not null || job.GroupId is not null)
            ? await AcceptRelatedAsync(jobs, areOne: false, cancellationToken)
            : await _pipeline.AcceptAsync(jobs, cancellationToken);
        await TellAsync([.. outcomes.Where(outcome => outcome.Kind == AcceptKind.New).Select(outcome => outcome.Job)]);
        return outcomes;
    }

    public async Task<IReadOnlyList<JobRecord>> ClaimAsync(IReadOnlyList<string> ids, string worker, TimeSpan lease, CancellationToken cancellationToken)
    {
        var claimed = await _pipeline.ClaimAsync(ids, worker, lease, cancellationToken);
        await TellAsync(claimed);
        if (claimed.Count < ids.Count)
            await SignalAsync([.. ids.Except(claimed.Select(job => job.Id), StringComparer.Ordinal).Select(JobChange.PointerTaken)]);
        return claimed;
    }

    public Task<IReadOnlySet<JobClaim>> RenewAsync(IReadOnlyList<JobClaim> claims, TimeSpan lease, CancellationToken cancellationToken) => _pipeline.RenewAsync(claims, lease, cancellationToken);

    public async Task<IReadOnlyList<bool>> CompleteAsync(IReadOnlyList<AttemptEnd> ends, CancellationToken cancellationToken)
    {
        var ended = await _pipeline.CompleteAsync(ends, cancellationToken);
        var taken = ends.Select(end => ended.ContainsKey(end.Claim)).ToArray();
        await TellAsync([.. ends.Where(end => ended.ContainsKey(end.Claim)).Select(end => Now(end, ended[end.Claim]))]);
        await FillPlacesOfAsync(ended.Values);
        await FollowAsync([.. ended.Values]);
        return taken;
    }

    public Task<JobRecord?> FindAsync(string tenant, string id, CancellationToken cancellationToken) =>
        _database.ReadAsync(context => context.Jobs.SingleOrDefaultAsync(job => job.Id == id && job.Tenant == tenant, cancellationToken), cancellationToken);

    /// <summary>The job as its worker had it, with what its end changed.</summary>
    private static JobRecord Now(AttemptEnd end, JobRecord ended)
    {
        var job = end.Job.Copy();
        (job.State, job.Sequence, job.Attempt, job.DueAt, job.FinishedAt, job.Error) = (ended.State, ended.Sequence, ended.Attempt, ended.DueAt, ended.FinishedAt, ended.Error);
        (job.LeaseOwner, job.LeaseUntil, job.Output) = (null, null, end.State == JobState.Succeeded ? end.Output : end.Job.Output);
        // Progress was written under way and is not in the worker's copy: readers find it in the table.
        job.HasDependents = ended.HasDependents;
        return job;
    }

    /// <summary>Wakes whoever waits, after the commit. A cache or signal that is down costs speed only, so it never fails the change.</summary>
    private async Task TellAsync(IReadOnlyList<JobRecord> changed)
    {
        if (changed.Count == 0)
            return;
        try
        {
            await _cache.PutAsync(changed, CancellationToken.None);
        }
        catch (Exception exception)
        {
            LogTellFailed(_logger, changed.Count, exception.Message);
        }

        await SignalAsync([.. changed.Select(job => new JobChange(job.Id, job.State, job.Sequence))]);
    }

    private async Task SignalAsync(JobChange[] changes)
    {
        try
        {
            await _signals.PublishAsync(changes, CancellationToken.None);
        }
        catch (Exception exception)
        {
            LogTellFailed(_logger, changes.Length, exception.Message);
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "Could not signal {Count} changes ({Reason}); waiters will find them by looking")]
    private static partial void LogTellFailed(ILogger logger, int count, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "What follows from the end of {Count} jobs could not be done yet ({Reason}); the sweeper does it")]
    private static partial void LogFollowFailed(ILogger logger, int count, string reason);
}
