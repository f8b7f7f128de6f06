using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Options;
using QueueMaaS.Api.Access;
using QueueMaaS.Api.Hosting;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs;
using QueueMaaS.Jobs.DeadLetters;
using QueueMaaS.Jobs.Life;
using QueueMaaS.Jobs.Submission;

namespace QueueMaaS.Api.Jobs;

/// <summary>Dead letters: jobs that failed for good, and messages that could not become jobs.</summary>
internal static class DeadLetterRoutes
{
    public static void MapDeadLetters(this IEndpointRouteBuilder routes)
    {
        var letters = routes.MapGroup("/v1/dead-letters").WithTags("Dead letters").WithScopes([AccessScopes.Read], [AccessScopes.Submit]);
        letters.MapGet("", ListAsync).Produces<Page<DeadLetter>>().WithSummary("List dead letters, newest first").WithDescription("`type=failed` (default) or `unprocessable`; `kind`, `model` and `tag` apply to failed jobs.");
        letters.MapGet("{id}", GetAsync).Produces<DeadLetter>().WithSummary("Look at a dead letter, with its original message");
        letters.MapPost("{id}/replay", ReplayAsync).WithAudit("dead-letter.replay").Accepts<ReplayRequest>("application/json").Produces<Job>().WithSummary("Run a dead letter again, as it was or corrected")
            .WithDescription("A failed job runs again under its id. With `input` a new job is made, and the dead letter stays as it was. A message becomes a job; `submission` corrects it.");
        letters.MapPost("replay", ReplayManyAsync).WithAudit("dead-letter.replay-many").Accepts<ReplayFilter>("application/json").Produces<ReplayResult>().WithSummary("Run all dead letters again that fit a filter");
        letters.MapDelete("{id}", DeleteAsync).WithAudit("dead-letter.delete").Produces(StatusCodes.Status204NoContent).WithSummary("Delete a dead letter");
    }

    private static async Task<Page<DeadLetter>> ListAsync(
        Caller caller, IJobStore jobs, IUnprocessableStore messages, string? type, string? kind, string? model, string? code, string? tag, DateTimeOffset? from, DateTimeOffset? until, string? cursor, int? limit,
        CancellationToken cancellationToken)
    {
        var size = Requests.Limit(limit);
        if (JobRoutes.ReadEnum<DeadLetterType>(type, "type") == DeadLetterType.Unprocessable)
        {
            var query = new UnprocessableQuery(caller.Tenant) { Code = code, From = from?.ToUniversalTime(), Until = until?.ToUniversalTime(), After = Requests.ReadCursor(cursor), Limit = size + 1 };
            var found = await messages.ListAsync(query, cancellationToken);
            return Requests.ToPage(found, size, static message => message.Id, static message => DeadLetterOffice.Show(message, whole: false));
        }

        var failed = await jobs.ListAsync(
            new JobQuery(caller.Tenant)
            {
                State = JobState.Failed,
                Kind = JobRoutes.ReadEnum<JobKind>(kind, "kind"),
                Model = model,
                Code = code,
                Tag = tag,
                From = from?.ToUniversalTime(),
                Until = until?.ToUniversalTime(),
                After = JobRoutes.ReadPlace(cursor),
                Limit = size + 1,
            },
            cancellationToken);
        return Requests.ToPage(failed, size, JobRoutes.PlaceOf, static job => DeadLetterOffice.Show(job, whole: false));
    }

    private static async Task<DeadLetter> GetAsync(Caller caller, string id, DeadLetterOffice office, CancellationToken cancellationToken) =>
        await office.FindAsync(caller.Tenant, id, cancellationToken) ?? throw DeadLetterOffice.NotFound(id);

    private static async Task<Job> ReplayAsync(Caller caller, string id, HttpRequest request, DeadLetterOffice office, IOptions<JobOptions> options, CancellationToken cancellationToken)
    {
        var limit = options.Value.MaxSubmissionBytes;
        var body = await Requests.ReadBodyAsync(request, limit, cancellationToken);
        var changed = body.Length == 0 ? new ReplayRequest() : SubmissionReader.ReadBody<ReplayRequest>(body);
        return (await office.ReplayAsync(caller.Tenant, id, changed, caller.Name, caller.Scopes, cancellationToken)).ToJob();
    }

    private static async Task<ReplayResult> ReplayManyAsync(Caller caller, HttpRequest request, DeadLetterOffice office, IOptions<JobOptions> options, CancellationToken cancellationToken)
    {
        var limit = options.Value.MaxSubmissionBytes;
        var filter = SubmissionReader.ReadBody<ReplayFilter>(await Requests.ReadBodyAsync(request, limit, cancellationToken));
        return await office.ReplayAsync(caller.Tenant, filter with { From = filter.From?.ToUniversalTime(), Until = filter.Until?.ToUniversalTime() }, caller.Name, caller.Scopes, cancellationToken);
    }

    private static async Task<IResult> DeleteAsync(Caller caller, string id, IJobStore jobs, IUnprocessableStore messages, CancellationToken cancellationToken)
    {
        if (await messages.DeleteAsync(caller.Tenant, id, cancellationToken))
            return Results.NoContent();
        return await jobs.FindAsync(caller.Tenant, id, cancellationToken) is { State: JobState.Failed } && await jobs.DeleteAsync(caller.Tenant, [id], cancellationToken) > 0
            ? Results.NoContent()
            : throw DeadLetterOffice.NotFound(id);
    }
}
