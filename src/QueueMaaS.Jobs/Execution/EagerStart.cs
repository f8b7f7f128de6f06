using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Dispatch;
using QueueMaaS.Jobs.Leasing;
using QueueMaaS.Jobs.Life;
using QueueMaaS.Jobs.Tenants;

namespace QueueMaaS.Jobs.Execution;

/// <summary>
/// Starts inference jobs in the process that accepts them, where it is a worker as well, has room, and no job waits that the new one would overtake. The row is committed as running,
/// under this worker's lease: no pointer goes over the bus, no claim is written, and the input need not be read back. (After Temporal's eager workflow start.)
/// </summary>
public sealed partial class EagerStart : IDisposable
{
    private static readonly TimeSpan Moment = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan BetweenLooks = TimeSpan.FromMilliseconds(10);
    private readonly PredictedCosts _costs;
    private readonly TenantLimits _tenants;
    private readonly TimeProvider _time;
    private readonly ILogger<EagerStart> _logger;
    private readonly EagerPlaces _places;
    private readonly bool _isOn;
    private readonly CancellationTokenSource _stopping = new();
    private volatile JobRunner? _runner;
    private int _running;

    // Until the first look nobody knows.
    private volatile bool _othersWait = true;

    public EagerStart(DispatchInbox inbox, PredictedCosts costs, TenantLimits tenants, IOptions<JobOptions> options, TimeProvider time, ILogger<EagerStart> logger)
    {
        ArgumentNullException.ThrowIfNull(inbox);
        ArgumentNullException.ThrowIfNull(options);
        _costs = costs;
        _tenants = tenants;
        _time = time;
        _logger = logger;
        _isOn = options.Value.EagerStart;
        _places = new EagerPlaces(() => !_othersWait && !inbox.HasWaiting(JobKind.Inference), time);
        inbox.WhenEmpty = OnEmptied;
    }

    /// <summary>This process is a worker from now on. (A runner's executors submit jobs themselves, so it cannot be had any earlier.)</summary>
    internal void Open(JobRunner runner)
    {
        if (_isOn && runner.Kinds.Contains(JobKind.Inference))
            _runner = runner;
    }

    /// <summary>Looks whether jobs wait that other processes dispatched, or that an earlier one left: what comes now must not overtake them either.</summary>
    internal async Task LookAsync(IJobStore store, CancellationToken cancellationToken)
    {
        if (_runner is null)
            return;
        // What was queued in this very moment is under way to a worker.
        _othersWait = await store.AnyWaitingAsync(JobKind.Inference, _time.GetUtcNow() - Moment, cancellationToken);
        if (!_othersWait)
            _places.Look();
    }

    /// <summary>Finds a place for a new job and makes its record that of a running one; null where it is to be queued.</summary>
    /// <param name="job">The record, not stored yet.</param>
    /// <param name="waits">Whether to wait a moment for a place.</param>
    public async ValueTask<EagerPlace?> FindPlaceAsync(JobRecord job, bool waits)
    {
        ArgumentNullException.ThrowIfNull(job);
        if (_runner is not { } runner || !MayStart(job))
            return null;
        // What nobody has measured may be long: one at a time, until it is.
        var size = new EagerSize(_costs.Measured(JobPointer.To(job)) ?? EagerPlaces.MostSeconds, job.Input.Length);
        if (!await _places.TakeAsync(size, waits))
            return null;
        var now = _time.GetUtcNow();
        (job.State, job.Attempt, job.Fence, job.StartedAt) = (JobState.Running, 1, 1, now);
        (job.LeaseOwner, job.LeaseUntil) = (runner.Worker, now + runner.LeaseOf(job.Kind));
        return new EagerPlace(() => _places.Leave(size));
    }

    /// <summary>Runs a job that is stored as running under this worker's first claim, unless it runs already.</summary>
    /// <param name="job">The job as it is stored.</param>
    /// <param name="place">Its place, given up when the work is done.</param>
    /// <returns>False where the job is another worker's, or runs here already; the place is the caller's still.</returns>
    public bool TryStart(JobRecord job, EagerPlace? place)
    {
        ArgumentNullException.ThrowIfNull(job);
        if (job is not { State: JobState.Running, Fence: 1 } || _runner is not { } runner || runner.TryTake(job) is not { } claimed)
            return false;
        Interlocked.Increment(ref _running);
        // Whoever submitted it is answered meanwhile.
        _ = Task.Run(() => RunAsync(runner, claimed, place));
        return true;
    }

    /// <summary>Lets no more jobs start here, and waits for those that run; once <paramref name="stopping"/> is cancelled they are handed back.</summary>
    internal async Task StopAsync(CancellationToken stopping)
    {
        _places.Close();
        await using var passedOn = stopping.Register(_stopping.Cancel);
        while (_places.Jobs > 0 || Volatile.Read(ref _running) > 0)
            await Task.Delay(BetweenLooks, CancellationToken.None);
    }

    public void Dispose() => _stopping.Dispose();

    /// <summary>What waits for others, or for a place among those of its tenant, or must be the only one of its kind, goes by the queue, which knows of these.</summary>
    private bool MayStart(JobRecord job) =>
        job is { Kind: JobKind.Inference, State: JobState.Queued, Rules: null, GroupId: null, UniqueKey: null }
        && (job.Deadline is not { } deadline || deadline > _time.GetUtcNow())
        && _tenants.Of(job.Tenant).MaxRunning is null;

    private async Task RunAsync(JobRunner runner, ClaimedJob claimed, EagerPlace? place)
    {
        try
        {
            // Storing it may have taken longer than it may wait: it goes back to the queue, where it expires.
            if (claimed.Job.Deadline is { } deadline && deadline <= _time.GetUtcNow())
                await runner.HandBackAsync(claimed);
            else
                await runner.RunAsync(claimed with { Lease = GivingUp(claimed.Lease, place) }, _stopping.Token);
        }
        catch (Exception exception)
        {
            LogEndNotStored(_logger, exception, claimed.Job.Id);
        }
        finally
        {
            place?.Dispose();
            Interlocked.Decrement(ref _running);
        }
    }

    /// <summary>The lease, with the place given up once the work is done, before its end is stored: whoever is told of the end and comes with the next job finds it free.</summary>
    private static KeptLease GivingUp(KeptLease lease, EagerPlace? place) => new(
        lease.Dispose,
        () =>
        {
            lease.End();
            place?.Dispose();
        },
        lease.Lost);

    private void OnEmptied(JobKind kind)
    {
        if (kind == JobKind.Inference)
            _places.Look();
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "Job {JobId}: its end could not be stored; its lease will expire and it will be tried again")]
    private static partial void LogEndNotStored(ILogger logger, Exception exception, string jobId);
}

/// <summary>A place among the jobs that start where they are accepted, until it is disposed.</summary>
public sealed class EagerPlace(Action leave) : IDisposable
{
    private int _left;

    public void Dispose()
    {
        if (Interlocked.Exchange(ref _left, 1) == 0)
            leave();
    }
}
