using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using Microsoft.Extensions.Options;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Life;
using QueueMaaS.Jobs.Submission;

namespace QueueMaaS.Jobs.DeadLetters;

/// <summary>Shows and replays dead letters of both kinds.</summary>
public sealed partial class DeadLetterOffice(IJobStore jobs, IUnprocessableStore messages, JobSubmitter submitter, IOptions<JobOptions> options)
{
    private const int MostReplayed = 1000;
    private const int PageSize = 200;

    public async Task<DeadLetter?> FindAsync(string tenant, string id, CancellationToken cancellationToken)
    {
        if (await messages.FindAsync(tenant, id, cancellationToken) is { } message)
            return Show(message, whole: true);
        return await jobs.FindAsync(tenant, id, cancellationToken) is { State: JobState.Failed } job ? Show(job, whole: true) : null;
    }

    /// <summary>Runs a failed job again, or makes a job of a message; with something changed where the request says so. What was replayed is kept as it came.</summary>
    /// <param name="tenant">Whose it is.</param>
    /// <param name="id">The dead letter.</param>
    /// <param name="request">What is changed.</param>
    /// <param name="by">Who wants it.</param>
    /// <param name="scopes">What they may do: a message, or a changed job, is a submission of theirs. A failed job that runs again was allowed when it was submitted.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    public async Task<JobRecord> ReplayAsync(string tenant, string id, ReplayRequest request, string by, IReadOnlyCollection<string>? scopes, CancellationToken cancellationToken)
    {
        if (await messages.FindAsync(tenant, id, cancellationToken) is { } message)
            return await ReplayAsync(message, request.Submission, scopes, cancellationToken);
        var job = await jobs.FindAsync(tenant, id, cancellationToken) ?? throw NotFound(id);
        if (job.State != JobState.Failed)
            throw new ProblemException(ProblemCodes.JobStateConflict, $"Job `{id}` is {job.State.ToString().ToLowerInvariant()}; only a failed job is a dead letter.", ("state", job.State));
        if (request.Input is not { } input)
            return await jobs.RequeueAsync(tenant, id, by, cancellationToken) ?? throw NotFound(id);
        var outcome = await submitter.SubmitAsync(Submission(job) with { Input = input }, new SubmissionOrigin(tenant) { ReplayOf = id, TraceParent = job.TraceParent, Scopes = scopes }, cancellationToken);
        return outcome.Job;
    }

    /// <summary>Replays all that fit, oldest page by page; what cannot be replayed is told and skipped.</summary>
    public async Task<ReplayResult> ReplayAsync(string tenant, ReplayFilter filter, string by, IReadOnlyCollection<string>? scopes, CancellationToken cancellationToken)
    {
        if (filter.Limit is < 1 or > MostReplayed)
            throw new ProblemException(ProblemCodes.InvalidValue, $"`limit` must be a whole number from 1 to {MostReplayed}.", ("path", "limit"));
        var most = filter.Limit ?? MostReplayed;
        var ids = filter.Type == DeadLetterType.Unprocessable ? await MessagesAsync(tenant, filter, most, cancellationToken) : await JobsAsync(tenant, filter, most, cancellationToken);
        var replayed = new List<string>();
        var refused = new Dictionary<string, Problem>(StringComparer.Ordinal);
        foreach (var id in ids)
        {
            try
            {
                replayed.Add((await ReplayAsync(tenant, id, new ReplayRequest(), by, scopes, cancellationToken)).Id);
            }
            catch (ProblemException exception)
            {
                refused[id] = exception.Problem;
            }
        }

        return new ReplayResult(replayed, refused);
    }

    public static DeadLetter Show(JobRecord job, bool whole)
    {
        var error = job.Error is null ? null : JsonSerializer.Deserialize<Problem>(job.Error, QueueMaaSJson.Relaxed);
        return new DeadLetter
        {
            Id = job.Id,
            Type = DeadLetterType.Failed,
            At = job.FinishedAt ?? job.CreatedAt,
            Code = error?.Code ?? ProblemCodes.InternalError,
            Reason = error?.Message ?? "",
            Kind = job.Kind,
            Model = job.Model,
            Attempt = job.Attempt,
            Input = whole ? JsonElement.Parse(job.Input) : null,
        };
    }

    public static DeadLetter Show(UnprocessableMessage message, bool whole)
    {
        var text = whole ? Text(message.Body) : null;
        return new DeadLetter
        {
            Id = message.Id,
            Type = DeadLetterType.Unprocessable,
            At = message.ReceivedAt,
            Code = message.Code,
            Reason = message.Reason,
            Body = text is null ? null : Secrets().Replace(text, "whsec_***"),
            BodyBase64 = whole && text is null ? Convert.ToBase64String(message.Body) : null,
            Headers = whole ? message.Headers : null,
            ReplayedAs = message.ReplayedAs,
        };
    }

    /// <summary>Secrets of webhooks (Standard Webhooks). Whoever may read dead letters may not sign; the message is kept, and replayed, with its own.</summary>
    [GeneratedRegex("whsec_[A-Za-z0-9+/=_-]+", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Secrets();

    public static ProblemException NotFound(string id) => new(ProblemCodes.DeadLetterNotFound, $"There is no dead letter `{id}`.", ("id", id));

    private static string? Text(byte[] body)
    {
        try
        {
            return new UTF8Encoding(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true).GetString(body);
        }
        catch (ArgumentException)
        {
            return null;
        }
    }

    private async Task<JobRecord> ReplayAsync(UnprocessableMessage message, JsonElement? corrected, IReadOnlyCollection<string>? scopes, CancellationToken cancellationToken)
    {
        if (message.ReplayedAs is { } earlier && await jobs.FindAsync(message.Tenant, earlier, cancellationToken) is { } job)
            return job;
        var body = corrected is { } submission ? Encoding.UTF8.GetBytes(submission.GetRawText()) : message.Body;
        var read = SubmissionReader.Read(body, options.Value.MaxSubmissionBytes);
        var outcome = await submitter.SubmitAsync(read.Id is null ? read with { Id = message.Id } : read, new SubmissionOrigin(message.Tenant) { ReplayOf = message.Id, Scopes = scopes }, cancellationToken);
        await messages.MarkReplayedAsync(message.Tenant, message.Id, outcome.Job.Id, cancellationToken);
        return outcome.Job;
    }

    private async Task<IReadOnlyList<string>> JobsAsync(string tenant, ReplayFilter filter, int most, CancellationToken cancellationToken)
    {
        var query = new JobQuery(tenant) { State = JobState.Failed, Kind = filter.Kind, Model = filter.Model, Code = filter.Code, Tag = filter.Tag, From = filter.From, Until = filter.Until, Limit = PageSize };
        var ids = new List<string>();
        while (ids.Count < most && await jobs.ListAsync(query, cancellationToken) is { Count: > 0 } page)
        {
            ids.AddRange(page.Select(job => job.Id).Take(most - ids.Count));
            query = query with { After = (page[^1].CreatedAt, page[^1].Id) };
        }

        return ids;
    }

    private async Task<IReadOnlyList<string>> MessagesAsync(string tenant, ReplayFilter filter, int most, CancellationToken cancellationToken)
    {
        var query = new UnprocessableQuery(tenant) { Code = filter.Code, From = filter.From, Until = filter.Until, OnlyOpen = true, Limit = PageSize };
        var ids = new List<string>();
        while (ids.Count < most && await messages.ListAsync(query, cancellationToken) is { Count: > 0 } page)
        {
            ids.AddRange(page.Select(message => message.Id).Take(most - ids.Count));
            query = query with { After = page[^1].Id };
        }

        return ids;
    }

    /// <summary>The job as its producer would hand it in again.</summary>
    private static JobSubmission Submission(JobRecord job)
    {
        var rules = job.GetRules();
        WebhookEvent[] events = [.. Events(job)];
        return new JobSubmission
        {
            Kind = job.Kind,
            Input = JsonElement.Parse(job.Input),
            Priority = job.Priority,
            MaxAttempts = job.MaxAttempts,
            TimeoutSeconds = rules.TimeoutSeconds,
            Retry = rules.Retry,
            Tags = job.Tags is null ? null : JsonSerializer.Deserialize<IReadOnlyList<string>>(job.Tags, QueueMaaSJson.Relaxed),
            Webhook = job.WebhookUrl is { } url && events.Length > 0 ? new WebhookTarget { Url = url, Secret = job.WebhookSecret, Events = events } : null,
        };
    }

    private static IEnumerable<WebhookEvent> Events(JobRecord job)
    {
        if (job.WebhookOnStart)
            yield return WebhookEvent.Start;
        if (job.WebhookOnProgress)
            yield return WebhookEvent.Progress;
        if (job.GetRules().WebhookOnLogs == true)
            yield return WebhookEvent.Logs;
        if (job.WebhookOnCompleted)
            yield return WebhookEvent.Completed;
    }
}
