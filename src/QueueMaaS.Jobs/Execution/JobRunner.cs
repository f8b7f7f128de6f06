using System.Diagnostics;
using System.Text.Json;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Leasing;
using QueueMaaS.Jobs.Life;

namespace QueueMaaS.Jobs.Execution;

/// <summary>Runs claimed jobs: keeps the lease, calls the executor, ends the attempt, writing ends in groups.</summary>
public sealed partial class JobRunner : IAsyncDisposable
{
    private const int MaxGroup = 256;

    // One statement carries the outputs of a whole group.
    private const int MaxGroupChars = 8 * 1024 * 1024;

    // A webhook is told of progress, and of the log, at most this often each.
    private static readonly TimeSpan AnnounceEvery = TimeSpan.FromMilliseconds(500);

    private readonly IJobStore _store;
    private readonly LeaseKeeper _leases;
    private readonly Dictionary<JobKind, IJobExecutor> _executors;
    private readonly JobOptions _options;
    private readonly TimeProvider _time;
    private readonly WorkerIdentity _worker;
    private readonly ILogger<JobRunner> _logger;
    private readonly Failures _failures;
    private readonly GroupCommit<AttemptEnd, bool> _ends;
    private readonly GroupCommit<ClaimRequest, IReadOnlyList<JobRecord>> _claims;

    public JobRunner(
        IJobStore store, LeaseKeeper leases, IEnumerable<IJobExecutor> executors, IOptions<JobOptions> options, TimeProvider time,
        WorkerIdentity worker, ILogger<JobRunner> logger)
    {
        _store = store;
        _leases = leases;
        _executors = executors.ToDictionary(executor => executor.Kind);
        _options = options.Value;
        _time = time;
        _worker = worker;
        _logger = logger;
        _failures = new Failures(_options, time);
        _ends = new GroupCommit<AttemptEnd, bool>(store.CompleteAsync, MaxGroup, static end => end.Output?.Length ?? 0, MaxGroupChars);
        _claims = new GroupCommit<ClaimRequest, IReadOnlyList<JobRecord>>(ClaimGroupAsync, MaxGroup);
    }

    /// <summary>The kinds this process has executors for.</summary>
    public IReadOnlyCollection<JobKind> Kinds => _executors.Keys;

    /// <summary>The name under which its claims are stored.</summary>
    public string Worker => _worker.Name;

    public TimeSpan LeaseOf(JobKind kind) => _leases.LeaseOf(kind);

    /// <summary>Takes up a job that is stored as claimed by this worker, with its lease being kept; null where it is another's, or is taken up already.</summary>
    public ClaimedJob? TryTake(JobRecord job) => job.LeaseOwner == Worker && _leases.TryKeep(job) is { } lease ? new ClaimedJob(job, lease) : null;

    /// <summary>Claims what can be claimed of <paramref name="ids"/>, in one statement with what other messages ask for, and answers the claimed jobs, each with its lease being kept.</summary>
    public async Task<IReadOnlyList<ClaimedJob>> ClaimAsync(IReadOnlyList<string> ids, JobKind kind, CancellationToken cancellationToken)
    {
        var jobs = await _claims.AddAsync(new ClaimRequest(ids, kind), cancellationToken);
        return [.. jobs.Select(job => new ClaimedJob(job, _leases.Keep(job)))];
    }

    /// <summary>Runs one claimed job to the end of its attempt. Returns when that end is stored, or was refused as stale.</summary>
    public async Task RunAsync(ClaimedJob claimed, CancellationToken stopping)
    {
        var job = claimed.Job;
        using var lease = claimed.Lease;
        using var activity = JobTelemetry.StartRun(job);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(stopping, lease.Lost);
        if (_failures.TimeoutOf(job) is { } timeout)
            stop.CancelAfter(timeout);
        var end = await AttemptAsync(job, lease, stop.Token, stopping);
        if (end is null)
            return;
        if (end.State == JobState.Retrying)
            await LogRetryAsync(job, end);
        lease.End();
        JobTelemetry.RecordEnd(job, end, _time.GetUtcNow(), activity);
        if (!await StoreAsync(end))
        {
            JobTelemetry.RecordStaleWrite();
            LogStale(_logger, job.Id, end.State, job.Fence);
        }
    }

    /// <summary>Puts a claimed job back in the queue, unrun; the attempt does not count.</summary>
    public async Task HandBackAsync(ClaimedJob claimed)
    {
        using var lease = claimed.Lease;
        lease.End();
        await StoreAsync(new AttemptEnd(claimed.Job, JobState.Queued) { Worker = _worker.Name });
    }

    public async ValueTask DisposeAsync()
    {
        await _claims.DisposeAsync();
        await _ends.DisposeAsync();
    }

    private async Task<IReadOnlyList<IReadOnlyList<JobRecord>>> ClaimGroupAsync(IReadOnlyList<ClaimRequest> requests, CancellationToken cancellationToken)
    {
        var claimed = new Dictionary<string, JobRecord>(StringComparer.Ordinal);
        foreach (var kinds in requests.GroupBy(request => _leases.LeaseOf(request.Kind)))
        {
            foreach (var job in await _store.ClaimAsync([.. kinds.SelectMany(request => request.Ids).Distinct(StringComparer.Ordinal)], _worker.Name, kinds.Key, cancellationToken))
                claimed[job.Id] = job;
        }

        // A job that two messages point at goes to the first of them.
        return [.. requests.Select(request => (IReadOnlyList<JobRecord>)[.. request.Ids.Select(id => claimed.Remove(id, out var job) ? job : null).OfType<JobRecord>()])];
    }

    private async Task<AttemptEnd?> AttemptAsync(JobRecord job, KeptLease lease, CancellationToken stop, CancellationToken stopping)
    {
        try
        {
            var (progressAnnounced, logAnnounced) = (0L, 0L);
            var attempt = new JobAttempt(
                job, (report, token) => report.Type == JobReport.Log ? ReportAsync(job, report, ref logAnnounced, token) : ReportAsync(job, report, ref progressAnnounced, token),
                (report, token) => _store.RecordAsync(job.Claim, report, token));
            var output = await _executors[job.Kind].ExecuteAsync(attempt, stop);
            return new AttemptEnd(job, JobState.Succeeded) { Output = JsonSerializer.Serialize(output, output.GetType(), QueueMaaSJson.Relaxed), Worker = _worker.Name };
        }
        catch (Exception exception) when (lease.Lost.IsCancellationRequested)
        {
            LogAbandoned(_logger, job.Id, exception.GetType().Name);
            return null;
        }
        catch (Exception) when (stopping.IsCancellationRequested)
        {
            // Shutdown, not failure: the attempt is taken back and the job queued at once.
            return new AttemptEnd(job, JobState.Queued) { Worker = _worker.Name };
        }
        catch (Exception) when (stop.IsCancellationRequested)
        {
            var problem = Problem.Create(ProblemCodes.AttemptTimeout, $"Attempt {job.Attempt} took longer than {_failures.TimeoutOf(job)!.Value.TotalSeconds:0.###} s and was stopped.", ("attempt", job.Attempt));
            LogFailed(_logger, job.Id, job.Attempt, problem.Code, problem.Message);
            return _failures.End(job, problem, FailureClass.Timeout, _worker.Name);
        }
        catch (ProblemException exception)
        {
            LogFailed(_logger, job.Id, job.Attempt, exception.Problem.Code, exception.Problem.Message);
            return _failures.End(job, exception.Problem, Failures.ClassOf(exception), _worker.Name);
        }
        catch (OutOfMemoryException exception)
        {
            LogBroke(_logger, exception, job.Id, job.Attempt);
            return _failures.End(job, new Problem(ProblemCodes.OutOfMemory, "The worker ran out of memory. The job is tried again in batches of half the size."), FailureClass.OutOfMemory, _worker.Name);
        }
        catch (Exception exception) when (FullDisk.IsCauseOf(exception))
        {
            LogBroke(_logger, exception, job.Id, job.Attempt);
            return _failures.End(job, new Problem(ProblemCodes.StorageFull, "The worker's storage is full. The job waits, and is tried again until there is room."), FailureClass.Transient, _worker.Name);
        }
        catch (Exception exception)
        {
            LogBroke(_logger, exception, job.Id, job.Attempt);
            return _failures.End(job, new Problem(ProblemCodes.InternalError, $"Something went wrong on our side while running job `{job.Id}`. The worker's log has the cause under this id."), FailureClass.Transient, _worker.Name);
        }
    }

    private Task ReportAsync(JobRecord job, JobReport report, ref long announced, CancellationToken cancellationToken)
    {
        var announce = report.Type is JobReport.Progress or JobReport.Log && (announced == 0 || _time.GetElapsedTime(announced) >= AnnounceEvery);
        if (announce)
            announced = _time.GetTimestamp();
        return ReportAsync(job, report with { Announce = announce }, cancellationToken);
    }

    private async Task ReportAsync(JobRecord job, JobReport report, CancellationToken cancellationToken)
    {
        if (!await _store.ReportAsync(job.Claim, report, cancellationToken))
        {
            JobTelemetry.RecordStaleWrite();
            throw new OperationCanceledException($"The claim on job {job.Id} no longer stands.");
        }
    }

    /// <summary>Tells in the job's log why it is tried again. Only told: what counts is the end that is stored after it, so a database that is away costs a line.</summary>
    private async Task LogRetryAsync(JobRecord job, AttemptEnd end)
    {
        var halved = end.BatchDivisor is { } divisor ? $" in batches of 1/{divisor} of the size" : "";
        var line = new { level = "warning", text = $"Attempt {job.Attempt} of {job.MaxAttempts} failed: {end.Error!.Code}: {end.Error.Message} Tried again at {end.RetryAt:O}{halved}." };
        try
        {
            await _store.ReportAsync(job.Claim, new JobReport(JobReport.Log, JsonSerializer.Serialize(line, QueueMaaSJson.Relaxed), Announce: true), CancellationToken.None);
        }
        catch (Exception exception)
        {
            LogStoreFailed(_logger, job.Id, exception.Message);
        }
    }

    /// <summary>Stores an attempt's end, through outages of the database as long as the lease may last: computed work is not thrown away for a blip.</summary>
    private async Task<bool> StoreAsync(AttemptEnd end)
    {
        var started = _time.GetTimestamp();
        while (true)
        {
            try
            {
                return await _ends.AddAsync(end, CancellationToken.None);
            }
            catch (Exception exception) when (_time.GetElapsedTime(started) < _options.TrainingLease)
            {
                LogStoreFailed(_logger, end.Claim.Id, exception.Message);
                await Task.Delay(TimeSpan.FromMilliseconds(500), _time);
            }
        }
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Job {JobId} failed on attempt {Attempt}: {Code}: {Reason}")]
    private static partial void LogFailed(ILogger logger, string jobId, int attempt, string code, string reason);

    [LoggerMessage(Level = LogLevel.Error, Message = "Job {JobId} broke on attempt {Attempt}")]
    private static partial void LogBroke(ILogger logger, Exception exception, string jobId, int attempt);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Job {JobId}: the write of `{State}` under fence {Fence} came too late and was refused")]
    private static partial void LogStale(ILogger logger, string jobId, JobState state, long fence);

    [LoggerMessage(Level = LogLevel.Information, Message = "Job {JobId}: attempt abandoned ({Exception})")]
    private static partial void LogAbandoned(ILogger logger, string jobId, string exception);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Job {JobId}: its end could not be stored yet ({Reason})")]
    private static partial void LogStoreFailed(ILogger logger, string jobId, string reason);
}

/// <summary>What one message asks to claim.</summary>
internal readonly record struct ClaimRequest(IReadOnlyList<string> Ids, JobKind Kind);

/// <summary>A job this process may work on.</summary>
public sealed record ClaimedJob(JobRecord Job, KeptLease Lease);

/// <summary>The name under which this process holds leases.</summary>
public sealed record WorkerIdentity(string Name)
{
    public static WorkerIdentity OfThisProcess() => new($"{Environment.MachineName}:{Environment.ProcessId}:{Guid.NewGuid().ToString("n")[..6]}");
}
