using System.Globalization;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Options;
using Microsoft.OpenApi;
using QueueMaaS.Api.Access;
using QueueMaaS.Api.Hosting;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs;
using QueueMaaS.Jobs.Dispatch;
using QueueMaaS.Jobs.Estimation;
using QueueMaaS.Jobs.Life;
using QueueMaaS.Jobs.Notification;
using QueueMaaS.Jobs.Submission;

namespace QueueMaaS.Api.Jobs;

/// <summary>Submit, read, wait for, cancel and requeue jobs.</summary>
internal static class JobRoutes
{
    public static void MapJobs(this IEndpointRouteBuilder routes)
    {
        var jobs = routes.MapGroup("/v1/jobs").WithTags("Jobs").WithScopes([AccessScopes.Read], [AccessScopes.Submit]);
        jobs.MapPost("", SubmitAsync).Accepts<JobSubmission>("application/json").Produces<Job>(StatusCodes.Status202Accepted).Produces<Job>()
            .WithSummary("Submit a job").WithDescription("Committed when answered. `Idempotency-Key` makes repeats safe; `Prefer: wait=N` waits up to N seconds for the end.")
            .WithParameter("Idempotency-Key", ParameterLocation.Header, "Up to 255 characters. A repeat with the same key and body answers with the first one's job; with another body it is refused.")
            .WithParameter("Prefer", ParameterLocation.Header, "`wait=N`: answer when the job has ended, or after N seconds.")
            .WithExample("tensor", """{"kind":"inference","input":{"model":"iris","inputs":[{"name":"x","datatype":"FP32","shape":[1,4],"data":[5.1,3.5,1.4,0.2]}]}}""")
            .WithExample("image", """{"kind":"inference","input":{"model":"animals@production","image":{"artifact":"sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"},"topK":3},"webhook":{"url":"https://example.org/hook"}}""")
            .WithExample("training", """{"kind":"training","input":{"model":"animals","dataset":"animals","epochs":10,"deploy":"production"},"tags":["nightly"]}""")
            .WithExample("batch", """{"kind":"batch","input":{"model":"animals@3","dataset":"animals","split":"test"},"priority":2}""")
            .WithExample("sweep", """{"kind":"sweep","input":{"training":{"dataset":"houses","epochs":20},"search":{"method":"random","trials":20,"seed":1,"space":{"learningRate":{"logUniform":[0.0001,0.1]},"batchSize":{"values":[32,64,128]}}},"register":"house-prices"}}""")
            .WithExample("evaluation", """{"kind":"evaluation","input":{"model":"animals@2","compareWith":"animals@1","dataset":"animals","split":"test"}}""")
            .WithExample("promotion", """{"kind":"promotion","input":{"model":"animals@4","alias":"production","gate":{"metrics":[{"metric":"accuracy","atLeast":0.7,"dataset":"animals","split":"test"}],"latency":{"p99Ms":5}}}}""")
            .WithExample("baseline", """{"kind":"baseline","input":{"model":"animals@4","dataset":"animals","split":"train"}}""");
        jobs.MapGet("", ListAsync).Produces<Page<Job>>().WithSummary("List jobs, newest first").WithDescription("`state=failed` is the dead-letter list.");
        jobs.MapGet("{id}", GetAsync).Produces<Job>().WithSummary("Get a job").WithDescription("`?wait=N` answers when the job has ended, or after N seconds.")
            .WithParameter("wait", ParameterLocation.Query, "Seconds to wait for the job's end.", JsonSchemaType.Number);
        jobs.MapPost("{id}/cancel", CancelAsync).Produces<Job>().WithSummary("Cancel a job");
        jobs.MapPost("{id}/requeue", RequeueAsync).Produces<Job>().WithSummary("Put a failed job back in the queue");
        jobs.MapGet("{id}/events", EventStream.StreamAsync).Produces<JobEvent>(contentType: "text/event-stream").WithSummary("Stream a job's events").WithDescription("Server-sent events until the job ends. `Last-Event-ID` resumes after an event.")
            .WithParameter("Last-Event-ID", ParameterLocation.Header, "The number of the last event seen; the stream goes on after it.", JsonSchemaType.Integer);
        jobs.MapDelete("{id}", DeleteAsync).WithAudit("job.delete").Produces(StatusCodes.Status204NoContent).WithSummary("Delete an ended job with its result and history");
        jobs.MapGet("{id}/history", HistoryAsync).Produces<IReadOnlyList<JobEvent>>().WithSummary("Everything that happened to a job");
        jobs.MapGet("{id}/webhooks", WebhooksAsync).Produces<IReadOnlyList<DeliveryView>>().WithSummary("The delivery log of a job's webhooks");
    }

    private static async Task<IResult> SubmitAsync(
        Caller caller, HttpRequest request, CallerSubmissions submissions, JobWaiter waiter, JobEstimator estimator, IOptions<JobOptions> jobOptions, IOptions<ApiOptions> apiOptions, CancellationToken cancellationToken)
    {
        var limit = jobOptions.Value.MaxSubmissionBytes;
        var wait = Requests.Wait(request, apiOptions.Value.MaxWait);
        var submission = SubmissionReader.Read(await Requests.ReadBodyAsync(request, limit, cancellationToken), limit);
        var key = request.Headers.TryGetValue("Idempotency-Key", out var keys) ? keys.ToString() : null;
        var outcome = await submissions.SubmitAsync(caller, submission, key, cancellationToken);
        var job = outcome.Job;
        if (wait is { } time && !job.State.IsFinal())
            job = await waiter.WaitForEndAsync(caller.Tenant, job.Id, time, cancellationToken) ?? job;
        if (wait is not null)
            request.HttpContext.Response.Headers["Preference-Applied"] = $"wait={wait.Value.TotalSeconds.ToString(CultureInfo.InvariantCulture)}";
        var location = $"/v1/jobs/{Uri.EscapeDataString(job.Id)}";
        request.HttpContext.Response.Headers.Location = location;
        return job.State.IsFinal() || outcome.Kind == AcceptKind.Duplicate ? Results.Ok(job.ToJob()) : Results.Accepted(location, await estimator.WithFirstEstimateAsync(job, cancellationToken));
    }

    private static async Task<Page<Job>> ListAsync(
        Caller caller, IJobStore store, string? kind, string? state, string? model, string? tag, string? group, string? code, DateTimeOffset? from, DateTimeOffset? until, string? cursor, int? limit, CancellationToken cancellationToken)
    {
        var query = new JobQuery(caller.Tenant)
        {
            Kind = ReadEnum<JobKind>(kind, "kind"),
            State = ReadEnum<JobState>(state, "state"),
            Model = model,
            Tag = tag,
            Group = group,
            Code = code,
            From = from?.ToUniversalTime(),
            Until = until?.ToUniversalTime(),
            Limit = Requests.Limit(limit) + 1,
            After = ReadPlace(cursor),
        };
        var found = await store.ListAsync(query, cancellationToken);
        // A list shows what jobs are, not what they carry: inputs and outputs may be large.
        return Requests.ToPage(found, query.Limit - 1, PlaceOf, static job => job.ToJob() with { Input = null, Output = null });
    }

    private static async Task<IResult> GetAsync(
        Caller caller, string id, HttpRequest request, IJobStore store, IJobCache cache, JobWaiter waiter, JobEstimator estimator, IOptions<ApiOptions> options, CancellationToken cancellationToken)
    {
        // Most polls are for jobs that have just ended: their answer lies ready, byte for byte.
        if (await cache.FindAsync(caller.Tenant, id, cancellationToken) is { } ready)
            return new ReadyJson(ready);
        var job = Requests.Wait(request, options.Value.MaxWait) is { } wait
            ? await waiter.WaitForEndAsync(caller.Tenant, id, wait, cancellationToken)
            : await store.FindAsync(caller.Tenant, id, cancellationToken);
        return job is null ? throw NotFound(id)
            : job.State.IsFinal() ? new ReadyJson(JobJson.Write(job))
            : TypedResults.Ok(await estimator.WithEstimateAsync(job, cancellationToken));
    }

    private static async Task<Job> CancelAsync(Caller caller, string id, IJobStore store, CancellationToken cancellationToken)
    {
        var job = await store.CancelAsync(caller.Tenant, id, caller.Name, cancellationToken) ?? throw NotFound(id);
        return job.State == JobState.Cancelled
            ? job.ToJob()
            : throw new ProblemException(ProblemCodes.JobStateConflict, $"Job `{id}` has already {job.State.ToString().ToLowerInvariant()}; a job that has ended cannot be cancelled.", ("state", job.State));
    }

    private static async Task<Job> RequeueAsync(Caller caller, string id, IJobStore store, CancellationToken cancellationToken)
    {
        var job = await store.RequeueAsync(caller.Tenant, id, caller.Name, cancellationToken) ?? throw NotFound(id);
        if (job.State != JobState.Queued)
            throw new ProblemException(ProblemCodes.JobStateConflict, $"Job `{id}` is {job.State.ToString().ToLowerInvariant()}; only a failed job can be requeued.", ("state", job.State));
        return job.ToJob();
    }

    private static async Task<IResult> DeleteAsync(Caller caller, string id, IJobStore store, IJobCache cache, CancellationToken cancellationToken)
    {
        if (await store.DeleteAsync(caller.Tenant, [id], cancellationToken) == 0)
        {
            var job = await store.FindAsync(caller.Tenant, id, cancellationToken) ?? throw NotFound(id);
            if (job.State.IsFinal())
                throw new ProblemException(ProblemCodes.JobStateConflict, $"Other jobs wait for job `{id}` (`after`, or its output as their input). Delete it when they have started, or cancel them first.", ("state", job.State));
            throw new ProblemException(ProblemCodes.JobStateConflict, $"Job `{id}` is {job.State.ToString().ToLowerInvariant()}; only a job that has ended can be deleted. Cancel it first.", ("state", job.State));
        }

        await cache.RemoveAsync(caller.Tenant, [id], cancellationToken);
        return Results.NoContent();
    }

    private static async Task<IReadOnlyList<JobEvent>> HistoryAsync(Caller caller, string id, IJobStore store, CancellationToken cancellationToken)
    {
        _ = await store.FindAsync(caller.Tenant, id, cancellationToken) ?? throw NotFound(id);
        return await store.EventsAsync(id, 0, 10_000, cancellationToken);
    }

    private static async Task<IReadOnlyList<DeliveryView>> WebhooksAsync(Caller caller, string id, IJobStore store, IWebhookStore webhooks, CancellationToken cancellationToken)
    {
        _ = await store.FindAsync(caller.Tenant, id, cancellationToken) ?? throw NotFound(id);
        return [.. (await webhooks.OfJobAsync(caller.Tenant, id, cancellationToken)).Select(entry => DeliveryView.Of(entry.Delivery, entry.Tries))];
    }

    public static ProblemException NotFound(string id) => new(ProblemCodes.JobNotFound, $"There is no job `{id}`.", ("jobId", id));

    internal static T? ReadEnum<T>(string? text, string field) where T : struct, Enum
    {
        if (text is null)
            return null;
        return Enum.TryParse<T>(text, ignoreCase: true, out var value) && char.IsAsciiLetter(text[0])
            ? value
            : throw new ProblemException(ProblemCodes.InvalidValue, $"`{field}` must be one of {string.Join(", ", Enum.GetNames<T>().Select(name => name.ToLowerInvariant()))}.", ("path", field));
    }

    /// <summary>Where a job stands in lists, as <see cref="ReadPlace"/> reads it.</summary>
    public static string PlaceOf(JobRecord job) => $"{job.CreatedAt.UtcTicks}/{job.Id}";

    internal static (DateTimeOffset, string)? ReadPlace(string? cursor)
    {
        if (Requests.ReadCursor(cursor) is not { } place)
            return null;
        var slash = place.IndexOf('/', StringComparison.Ordinal);
        return slash > 0 && long.TryParse(place[..slash], NumberStyles.None, CultureInfo.InvariantCulture, out var ticks) && ticks <= DateTime.MaxValue.Ticks
            ? (new DateTimeOffset(ticks, TimeSpan.Zero), place[(slash + 1)..])
            : throw Requests.BadCursor();
    }
}

/// <summary>JSON that is written already.</summary>
internal sealed class ReadyJson(ReadOnlyMemory<byte> json) : IResult
{
    public Task ExecuteAsync(HttpContext httpContext)
    {
        httpContext.Response.ContentType = "application/json; charset=utf-8";
        httpContext.Response.ContentLength = json.Length;
        return httpContext.Response.BodyWriter.WriteAsync(json, httpContext.RequestAborted).AsTask();
    }
}

/// <summary>A webhook delivery with its tries.</summary>
public sealed record DeliveryView(
    string Id, string Type, string Url, string State, int Tries, DateTimeOffset CreatedAt, DateTimeOffset? DeliveredAt, DateTimeOffset? NextTryAt, IReadOnlyList<TryView> Log)
{
    internal static DeliveryView Of(WebhookDelivery delivery, IReadOnlyList<WebhookTry> tries) => new(
        delivery.Id, delivery.Type, delivery.Url, delivery.State.ToString().ToLowerInvariant(), delivery.Tries, delivery.CreatedAt, delivery.DeliveredAt,
        delivery.State == DeliveryState.Pending ? delivery.NextTryAt : null, [.. tries.Select(t => new TryView(t.Number, t.At, t.Status, t.Error, Math.Round(t.Milliseconds, 1), t.Request, t.Response))]);
}

/// <summary>One try of a delivery.</summary>
public sealed record TryView(int Number, DateTimeOffset At, int? Status, string? Error, double Milliseconds, string? Request, string? Response);
