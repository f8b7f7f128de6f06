using Microsoft.EntityFrameworkCore;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Life;
using QueueMaaS.Jobs.Notification;

namespace QueueMaaS.Storage.Database;

/// <summary>
/// Changes tracked jobs within one transaction: each change with its event row and the webhook deliveries that follow from it. What few jobs go through is
/// changed here on both databases; PostgreSQL's statements for the many (<see cref="Pipeline.PostgreSqlStatements"/>) write the same.
/// </summary>
internal sealed class JobChanges
{
    private readonly QueueMaaSDbContext _context;
    private readonly IReadOnlyList<WebhookEndpoint> _endpoints;

    private JobChanges(QueueMaaSDbContext context, IReadOnlyList<WebhookEndpoint> endpoints, DateTimeOffset now)
    {
        _context = context;
        _endpoints = endpoints;
        Now = now;
    }

    /// <summary>The moment of all changes of the transaction.</summary>
    public DateTimeOffset Now { get; }

    public List<JobRecord> Changed { get; } = [];

    public static async Task<JobChanges> BeginAsync(QueueMaaSDbContext context, TimeProvider time, CancellationToken cancellationToken) =>
        new(context, await context.Endpoints.AsNoTracking().Where(endpoint => endpoint.DisabledAt == null).ToListAsync(cancellationToken), time.GetUtcNow());

    /// <summary>Adds a new job with its first event.</summary>
    public void Add(JobRecord job)
    {
        job.Sequence = 0;
        job.DispatchedAt = job.State == JobState.Queued ? job.CreatedAt : null;
        _context.Jobs.Add(job);
        Tell(job, job.ParentId is null ? "producer" : "worker", reason: null);
    }

    /// <summary>The one place where a tracked job changes its state.</summary>
    public void To(JobRecord job, JobState state, string by, string? reason)
    {
        if (!job.State.CanBecome(state))
            throw new InvalidOperationException($"Job {job.Id} cannot go from {job.State} to {state}.");
        job.State = state;
        job.LeaseOwner = null;
        job.LeaseUntil = null;
        if (state == JobState.Queued)
        {
            job.DueAt = Now;
            // Whoever queues it dispatches it too; only a worker that hands a job back leaves that to the sweeper.
            job.DispatchedAt = Now;
            job.Dispatches = 0;
        }

        if (state.IsFinal())
            job.FinishedAt = Now;
        if (job.UniqueStates?.Contains($",{state},", StringComparison.Ordinal) == false)
            job.UniqueKey = null;
        Tell(job, by, reason);
    }

    /// <summary>Ends an attempt.</summary>
    public void End(JobRecord job, AttemptEnd end)
    {
        job.Error = Json.WriteOrNull(end.Error);
        if (end.State == JobState.Succeeded)
            job.Output = end.Output;
        if (end.RetryAt is { } retryAt)
            job.DueAt = retryAt;
        if (end.BatchDivisor is { } divisor)
            job.BatchDivisor = divisor;
        if (end.State == JobState.Queued)
            job.Attempt--;
        To(job, end.State, end.Worker, end.Reason);
        if (end.State == JobState.Queued)
            job.DispatchedAt = null;
    }

    /// <summary>Writes the event of the job's present state.</summary>
    public void Tell(JobRecord job, string by, string? reason)
    {
        job.Sequence++;
        _context.Events.Add(new JobEventRow
        {
            JobId = job.Id,
            Sequence = job.Sequence,
            Type = job.State.ToString().ToLowerInvariant(),
            At = Now,
            Attempt = job.Attempt,
            By = by,
            Reason = reason,
            Silent = job.Kind == JobKind.Chunk,
        });
        Changed.Add(job);
        if (job.State == JobState.Running)
            Deliver(job, WebhookTypes.Started, job.WebhookOnStart);
        else if (job.State.IsFinal())
            Deliver(job, WebhookTypes.Completed, job.WebhookOnCompleted);
    }

    /// <summary>Writes what a worker reports.</summary>
    public void Report(JobRecord job, JobReport report)
    {
        if (report.Type == JobReport.Progress)
            job.Progress = report.Data;
        job.Sequence++;
        _context.Events.Add(new JobEventRow
        {
            JobId = job.Id,
            Sequence = job.Sequence,
            Type = report.Type,
            At = Now,
            Attempt = job.Attempt,
            Data = report.Data,
            Silent = job.Kind == JobKind.Chunk,
        });
        Changed.Add(job);
        if (!report.Announce)
            return;
        if (report.Type == JobReport.Log)
            Deliver(job, WebhookTypes.Log, job.GetRules().WebhookOnLogs == true, report.Data);
        else
            Deliver(job, WebhookTypes.Progress, job.WebhookOnProgress, report.Data);
    }

    private void Deliver(JobRecord job, string type, bool toJobsOwn, string? data = null)
    {
        if (job.WebhookUrl is { } url && toJobsOwn)
            Deliver(job, type, url, job.WebhookSecret, endpoint: null, data);
        if (job.Kind == JobKind.Chunk)
            return;
        foreach (var endpoint in _endpoints.Where(endpoint => endpoint.Tenant == job.Tenant && endpoint.Wants(type, job.Kind)))
            Deliver(job, type, endpoint.Url, secret: null, endpoint.Id, data);
    }

    private void Deliver(JobRecord job, string type, string url, string? secret, string? endpoint, string? data) => _context.Deliveries.Add(new WebhookDelivery
    {
        Id = $"msg_{Ulid.NewUlid(Now)}",
        Tenant = job.Tenant,
        JobId = job.Id,
        Type = type,
        Kind = job.Kind,
        JobState = job.State,
        Sequence = job.Sequence,
        Attempt = job.Attempt,
        Error = job.State.IsFinal() ? job.Error : null,
        Url = url,
        Secret = secret,
        EndpointId = endpoint,
        TraceParent = job.TraceParent,
        Data = data,
        CreatedAt = Now,
        NextTryAt = Now,
    });
}
