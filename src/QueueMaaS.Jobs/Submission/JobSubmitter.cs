using System.Security.Cryptography;
using System.Text.Json;
using Microsoft.Extensions.Options;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Access;
using QueueMaaS.Jobs.Dispatch;
using QueueMaaS.Jobs.Execution;
using QueueMaaS.Jobs.Life;
using QueueMaaS.Jobs.Notification;

namespace QueueMaaS.Jobs.Submission;

/// <summary>Accepts jobs: checks, commits the row together with whatever else has arrived, and hands its pointer to dispatch.</summary>
public sealed class JobSubmitter : IAsyncDisposable
{
    private const int MaxGroup = 512;

    // One statement carries the inputs of a whole group.
    private const int MaxGroupChars = 8 * 1024 * 1024;

    private readonly Dictionary<JobKind, ISubmissionCheck> _checks;
    private readonly IWebhookTargetPolicy _webhookTargets;
    private readonly IJobStore _store;
    private readonly DispatchInbox _dispatch;
    private readonly Admission _admission;
    private readonly JobRecords _records;
    private readonly TimeProvider _time;
    private readonly EagerStart _eager;
    private readonly GroupCommit<JobRecord, AcceptOutcome> _accept;

    public JobSubmitter(
        IJobStore store, IEnumerable<ISubmissionCheck> checks, IWebhookTargetPolicy webhookTargets, DispatchInbox dispatch, Admission admission,
        IOptions<JobOptions> options, TimeProvider time, EagerStart eager)
    {
        _checks = checks.ToDictionary(check => check.Kind);
        _webhookTargets = webhookTargets;
        _store = store;
        _dispatch = dispatch;
        _admission = admission;
        ArgumentNullException.ThrowIfNull(options);
        _records = new JobRecords(options.Value, time);
        _time = time;
        _eager = eager;
        _accept = new GroupCommit<JobRecord, AcceptOutcome>(store.AcceptAsync, MaxGroup, static job => job.Input.Length, MaxGroupChars);
    }

    /// <summary>Accepts one submission. When the task completes the job is committed: a crash after that does not lose it.</summary>
    /// <param name="submission">What the producer handed in.</param>
    /// <param name="origin">Whose job it is, and where it comes from.</param>
    /// <param name="cancellationToken">Gives up waiting; the job may still be accepted.</param>
    /// <returns>The job and whether it was known before.</returns>
    /// <exception cref="ProblemException">The submission is at fault or beyond what its caller may do, clashes with an earlier one of the same id or key, or is beyond the tenant's limits.</exception>
    public async Task<AcceptOutcome> SubmitAsync(JobSubmission submission, SubmissionOrigin origin, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(origin);
        SubmissionScopes.Require(submission, origin.Scopes);
        await _admission.CheckAsync(origin.Tenant, 1, cancellationToken);
        var record = await CheckAsync(submission, origin, cancellationToken);
        var outcome = await AcceptAsync(record, origin.CanWait).WaitAsync(cancellationToken);
        return outcome.Kind == AcceptKind.Conflict ? throw Conflict(record.Id, outcome.Job, origin.Tenant) : outcome;
    }

    /// <summary>Commits the job and has it run. What has begun is done whether its caller waits or not: a job that is stored as running here must run.</summary>
    private async Task<AcceptOutcome> AcceptAsync(JobRecord record, bool canWait)
    {
        var place = await _eager.FindPlaceAsync(record, canWait);
        try
        {
            var outcome = await _accept.AddAsync(record, CancellationToken.None);
            // A repeat may find its job stored by a try whose answer was lost: running here, where nobody runs it.
            if (outcome.Kind == AcceptKind.Conflict || !_eager.TryStart(outcome.Job, place))
            {
                Dispatch(outcome);
                return outcome;
            }

            place = null;
            if (outcome.Kind != AcceptKind.New)
                return outcome;
            JobTelemetry.RecordAccepted(record.Kind);
            JobTelemetry.RecordEagerStart();
            return outcome with { Job = outcome.Job.AsAccepted() };
        }
        finally
        {
            place?.Dispose();
        }
    }

    /// <summary>Accepts the jobs of a group: all of them or none.</summary>
    /// <param name="submissions">The jobs.</param>
    /// <param name="origin">Whose they are, and where they come from.</param>
    /// <param name="cancellationToken">Gives up waiting; the jobs may still be accepted.</param>
    /// <exception cref="ProblemException">One of them is at fault; the problem says which. Or together they are beyond the tenant's limits.</exception>
    public async Task SubmitGroupAsync(IReadOnlyList<JobSubmission> submissions, SubmissionOrigin origin, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(submissions);
        ArgumentNullException.ThrowIfNull(origin);
        foreach (var submission in submissions)
            SubmissionScopes.Require(submission, origin.Scopes);
        await _admission.CheckAsync(origin.Tenant, submissions.Count, cancellationToken);
        var records = new List<JobRecord>(submissions.Count);
        for (var i = 0; i < submissions.Count; i++)
        {
            try
            {
                records.Add(await CheckAsync(submissions[i], origin, cancellationToken));
            }
            catch (ProblemException exception)
            {
                throw OfMember(exception, i, submissions[i].Id);
            }
        }

        if (records.GroupBy(record => record.Id, StringComparer.Ordinal).FirstOrDefault(same => same.Count() > 1) is { } twice)
            throw new ProblemException(ProblemCodes.InvalidValue, $"Two jobs of the group have the id `{twice.Key}`. Give each an id of its own, or leave it out.", ("path", "jobs"));
        foreach (var outcome in await _store.AcceptTogetherAsync(records, cancellationToken))
        {
            if (outcome.Kind == AcceptKind.Conflict)
                throw Conflict(outcome.Job.Id, outcome.Job, origin.Tenant);
            Dispatch(outcome);
        }
    }

    private void Dispatch(AcceptOutcome outcome)
    {
        if (outcome.Kind != AcceptKind.New)
            return;
        JobTelemetry.RecordAccepted(outcome.Job.Kind);
        if (outcome.Job.State == JobState.Queued)
            _dispatch.Add(JobPointer.To(outcome.Job));
    }

    /// <summary>The same problem, with the job that has it.</summary>
    private static ProblemException OfMember(ProblemException exception, int index, string? id)
    {
        var details = new Dictionary<string, JsonElement>(exception.Problem.Details ?? new Dictionary<string, JsonElement>(), StringComparer.Ordinal);
        var path = details.TryGetValue("path", out var inner) && inner.ValueKind == JsonValueKind.String ? $"jobs[{index}].{inner.GetString()}" : $"jobs[{index}]";
        details["path"] = JsonSerializer.SerializeToElement(path);
        details["index"] = JsonSerializer.SerializeToElement(index);
        return new(new Problem(exception.Problem.Code, $"Job {index + 1} of the group{(id is null ? "" : $" (`{id}`)")}: {exception.Problem.Message} No job of the group was accepted.", details), exception) { IsTransient = exception.IsTransient };
    }

    /// <summary>Ids are everybody's; what another tenant has under one is not told.</summary>
    private static ProblemException Conflict(string id, JobRecord met, string tenant) => met.Tenant != tenant
        ? new(ProblemCodes.IdempotencyConflict, $"The id `{id}` is taken. Use another, or leave it out: the service makes ids that are free.", ("jobId", id))
        : new(ProblemCodes.IdempotencyConflict, $"Job `{met.Id}` was submitted before under this id or idempotency key with another body. Use a new id or key for a new job.", ("jobId", met.Id));

    /// <summary>Refuses a submission that could never be accepted, whatever is there when it comes: its own fields are looked at, not its input.</summary>
    /// <exception cref="ProblemException">A field is outside its range.</exception>
    public void CheckFields(JobSubmission submission, string? idempotencyKey = null)
    {
        ArgumentNullException.ThrowIfNull(submission);
        SubmissionLimits.Check(submission, idempotencyKey);
        if (!_checks.ContainsKey(submission.Kind))
            throw new ProblemException(ProblemCodes.InvalidValue, $"Jobs of kind `{submission.Kind.ToString().ToLowerInvariant()}` are made by the service itself. Submit `inference`, `training`, `batch`, `sweep`, `evaluation`, `promotion` or `baseline`.", ("path", "kind"));
        if (submission.Webhook is { } webhook)
            _webhookTargets.Check(webhook);
    }

    private async Task<JobRecord> CheckAsync(JobSubmission submission, SubmissionOrigin origin, CancellationToken cancellationToken)
    {
        CheckFields(submission, origin.IdempotencyKey);
        var references = OutputReferences.Find(submission.Input);
        // What an input with references will be is known only when the other jobs are done; the worker checks it then.
        var input = references.Count == 0
            ? await _checks[submission.Kind].CheckAsync(origin.Tenant, submission.Input, cancellationToken)
            : new CheckedInput(submission.Input.TryGetProperty("model", out var named) && named.ValueKind == JsonValueKind.String ? named.GetString() : null);
        var record = _records.Make(submission, origin, input.Model, references);
        record.Ready = input.Ready;
        return record;
    }

    /// <summary>Accepts the parts of a job that a worker has split. Repeats are harmless: the ids are the worker's to choose.</summary>
    /// <param name="parent">The job.</param>
    /// <param name="children">Its parts.</param>
    /// <param name="cancellationToken">Gives up waiting; the parts may still be accepted.</param>
    /// <param name="kind">What the parts are.</param>
    /// <param name="maxAttempts">How often each is tried. Default: as often as the job.</param>
    /// <exception cref="ProblemException"><c>child_id_taken</c>: the id of a part is that of a job that is none of the parent's.</exception>
    public async Task SubmitChildrenAsync(
        JobRecord parent, IReadOnlyList<(string Id, string Input)> children, CancellationToken cancellationToken, JobKind kind = JobKind.Chunk, int? maxAttempts = null)
    {
        ArgumentNullException.ThrowIfNull(parent);
        foreach (var group in children.Chunk(256))
        {
            var accepted = await Task.WhenAll(group.Select(child => _accept.AddAsync(ToChild(parent, child.Id, child.Input, kind, maxAttempts ?? parent.MaxAttempts), cancellationToken)));
            foreach (var outcome in accepted.Where(static outcome => outcome.Kind == AcceptKind.New))
            {
                JobTelemetry.RecordAccepted(kind);
                _dispatch.Add(JobPointer.To(outcome.Job));
            }

            foreach (var outcome in accepted)
                RequireOwn(parent, outcome.Job);
        }
    }

    /// <summary>Refuses to go on where the id that a part will have is another job's already: what takes hours need not be done to find that out.</summary>
    /// <exception cref="ProblemException"><c>child_id_taken</c>.</exception>
    public async Task RequireChildIdAsync(JobRecord parent, string id, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(parent);
        if (await _store.FindAsync(parent.Tenant, id, cancellationToken) is { } met)
            RequireOwn(parent, met);
    }

    /// <summary>A part that was made before is found again under its id. Any other job there would be waited for in vain.</summary>
    private static void RequireOwn(JobRecord parent, JobRecord child)
    {
        if (child.ParentId == parent.Id && child.Tenant == parent.Tenant)
            return;
        // What another tenant has under an id is not told.
        var remedy = child.Tenant == parent.Tenant
            ? $"Delete job `{child.Id}` and requeue this one, or submit this one again under another id."
            : "Submit this job again under another id.";
        throw new ProblemException(
            ProblemCodes.ChildIdTaken, $"Job `{parent.Id}` makes a job with the id `{child.Id}`, but that id is taken by a job that is not its own. {remedy}", ("jobId", child.Id), ("parent", parent.Id));
    }

    public ValueTask DisposeAsync() => _accept.DisposeAsync();

    private JobRecord ToChild(JobRecord parent, string id, string input, JobKind kind, int maxAttempts) => new()
    {
        Id = id,
        Tenant = parent.Tenant,
        Kind = kind,
        State = JobState.Queued,
        MaxAttempts = maxAttempts,
        Priority = parent.Priority,
        Model = parent.Model,
        Input = input,
        RequestHash = Convert.ToHexStringLower(SHA256.HashData(System.Text.Encoding.UTF8.GetBytes(input))),
        ParentId = parent.Id,
        CreatedAt = _time.GetUtcNow(),
        DueAt = _time.GetUtcNow(),
        TraceParent = parent.TraceParent,
    };
}
