using System.Diagnostics;
using System.Security.Cryptography;
using System.Text.Json;
using Microsoft.Extensions.Options;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Dispatch;
using QueueMaaS.Jobs.Life;
using QueueMaaS.Jobs.Notification;

namespace QueueMaaS.Jobs.Submission;

/// <summary>Accepts jobs: checks, commits the row together with whatever else has arrived, and hands its pointer to dispatch.</summary>
public sealed class JobSubmitter : IAsyncDisposable
{
    private readonly Dictionary<JobKind, ISubmissionCheck> _checks;
    private readonly IWebhookTargetPolicy _webhookTargets;
    private readonly Dispatcher _dispatcher;
    private readonly JobOptions _options;
    private readonly TimeProvider _time;
    private readonly GroupCommit<JobRecord, AcceptOutcome> _accept;

    public JobSubmitter(
        IJobStore store, IEnumerable<ISubmissionCheck> checks, IWebhookTargetPolicy webhookTargets, Dispatcher dispatcher,
        IOptions<JobOptions> options, TimeProvider time)
    {
        _checks = checks.ToDictionary(check => check.Kind);
        _webhookTargets = webhookTargets;
        _dispatcher = dispatcher;
        _options = options.Value;
        _time = time;
        _accept = new GroupCommit<JobRecord, AcceptOutcome>(store.AcceptAsync, maxGroup: 256);
    }

    /// <summary>Accepts one submission. When the task completes the job is committed: a crash after that does not lose it.</summary>
    /// <param name="submission">What the producer handed in.</param>
    /// <param name="tenant">Whose job it is.</param>
    /// <param name="idempotencyKey">The producer's key for safe repeats, if any.</param>
    /// <param name="cancellationToken">Gives up waiting; the job may still be accepted.</param>
    /// <returns>The job and whether it was known before.</returns>
    /// <exception cref="ProblemException">The submission is at fault, or clashes with an earlier one of the same id or key.</exception>
    public async Task<AcceptOutcome> SubmitAsync(JobSubmission submission, string tenant, string? idempotencyKey, CancellationToken cancellationToken)
    {
        SubmissionLimits.Check(submission, idempotencyKey);
        if (!_checks.TryGetValue(submission.Kind, out var check))
            throw new ProblemException(ProblemCodes.InvalidValue, $"Jobs of kind `{submission.Kind.ToString().ToLowerInvariant()}` are made by the service itself. Submit `inference`, `training` or `batch`.", ("path", "kind"));
        if (submission.Webhook is { } webhook)
            _webhookTargets.Check(webhook);
        var model = await check.CheckAsync(tenant, submission.Input, cancellationToken);

        var outcome = await _accept.AddAsync(ToRecord(submission, tenant, idempotencyKey, model), cancellationToken);
        if (outcome.Kind == AcceptKind.Conflict)
        {
            throw new ProblemException(
                ProblemCodes.IdempotencyConflict,
                $"Job `{outcome.Job.Id}` was submitted before under this id or idempotency key with another body. Use a new id or key for a new job.",
                ("jobId", outcome.Job.Id));
        }

        if (outcome.Kind == AcceptKind.New && outcome.Job.State == JobState.Queued)
            _dispatcher.Add(new JobPointer(outcome.Job.Id, outcome.Job.Kind, outcome.Job.Priority));
        return outcome;
    }

    /// <summary>Accepts the parts of a job that a worker has split. Repeats are harmless: the ids are the worker's to choose.</summary>
    public async Task SubmitChildrenAsync(JobRecord parent, IReadOnlyList<(string Id, string Input)> children, CancellationToken cancellationToken)
    {
        foreach (var group in children.Chunk(256))
        {
            var accepted = await Task.WhenAll(group.Select(child => _accept.AddAsync(ToChild(parent, child.Id, child.Input), cancellationToken)));
            foreach (var outcome in accepted)
            {
                if (outcome.Kind == AcceptKind.New)
                    _dispatcher.Add(new JobPointer(outcome.Job.Id, outcome.Job.Kind, outcome.Job.Priority));
            }
        }
    }

    public ValueTask DisposeAsync() => _accept.DisposeAsync();

    private JobRecord ToRecord(JobSubmission submission, string tenant, string? idempotencyKey, string? model)
    {
        var now = _time.GetUtcNow();
        var scheduled = submission.RunAt is { } runAt && runAt > now;
        return new JobRecord
        {
            Id = submission.Id ?? Ulid.NewUlid(now).ToString(),
            Tenant = tenant,
            Kind = submission.Kind,
            State = scheduled ? JobState.Scheduled : JobState.Queued,
            MaxAttempts = submission.MaxAttempts ?? _options.MaxAttempts,
            Priority = submission.Priority ?? 5,
            Model = model,
            Input = submission.Input.GetRawText(),
            // The id is left out, so that a repeat under one idempotency key matches whether or not it names an id.
            RequestHash = Hash(submission with { Id = null }),
            IdempotencyKey = idempotencyKey,
            CreatedAt = now,
            DueAt = submission.RunAt?.ToUniversalTime() ?? now,
            RunAt = submission.RunAt?.ToUniversalTime(),
            Deadline = submission.Deadline?.ToUniversalTime(),
            Tags = submission.Tags is { Count: > 0 } tags ? JsonSerializer.Serialize(tags, QueueMaaSJson.Relaxed) : null,
            WebhookUrl = submission.Webhook?.Url,
            WebhookSecret = submission.Webhook?.Secret,
            WebhookOnStart = submission.Webhook is { } onStart && (onStart.Events?.Contains(WebhookEvent.Start) ?? true),
            WebhookOnCompleted = submission.Webhook is { } onEnd && (onEnd.Events?.Contains(WebhookEvent.Completed) ?? true),
            TraceParent = Activity.Current?.Id,
        };
    }

    private JobRecord ToChild(JobRecord parent, string id, string input) => new()
    {
        Id = id,
        Tenant = parent.Tenant,
        Kind = JobKind.Chunk,
        State = JobState.Queued,
        MaxAttempts = parent.MaxAttempts,
        Priority = parent.Priority,
        Model = parent.Model,
        Input = input,
        RequestHash = Convert.ToHexStringLower(SHA256.HashData(System.Text.Encoding.UTF8.GetBytes(input))),
        ParentId = parent.Id,
        CreatedAt = _time.GetUtcNow(),
        DueAt = _time.GetUtcNow(),
        TraceParent = parent.TraceParent,
    };

    private static string Hash(JobSubmission submission) =>
        Convert.ToHexStringLower(SHA256.HashData(JsonSerializer.SerializeToUtf8Bytes(submission, QueueMaaSJson.Relaxed)));
}
