using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Options;
using QueueMaaS.Api.Access;
using QueueMaaS.Api.Hosting;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs;
using QueueMaaS.Jobs.Access;
using QueueMaaS.Jobs.Scheduling;
using QueueMaaS.Jobs.Submission;

namespace QueueMaaS.Api.Jobs;

/// <summary>Schedules that make jobs.</summary>
internal static class ScheduleRoutes
{
    public static void MapSchedules(this IEndpointRouteBuilder routes)
    {
        var schedules = routes.MapGroup("/v1/schedules").WithTags("Schedules").WithScopes([AccessScopes.Read], [AccessScopes.Submit]);
        schedules.MapPut("{name}", PutAsync).Accepts<ScheduleDefinition>("application/json").Produces<Schedule>().Produces<Schedule>(StatusCodes.Status201Created).WithSummary("Make or replace a schedule")
            .WithExample("nightly", """{"cron":"0 2 * * *","timeZone":"Europe/Berlin","job":{"kind":"training","input":{"model":"animals","dataset":"animals"}}}""");
        schedules.MapGet("", ListAsync).Produces<IReadOnlyList<Schedule>>().WithSummary("List schedules");
        schedules.MapGet("{name}", GetAsync).Produces<Schedule>().WithSummary("Get a schedule");
        schedules.MapDelete("{name}", DeleteAsync).Produces(StatusCodes.Status204NoContent).WithSummary("Delete a schedule").WithDescription("Jobs that it has made stay.");
    }

    private static async Task<IResult> PutAsync(Caller caller, string name, HttpRequest request, IScheduleStore store, JobSubmitter submitter, TimeProvider time, IOptions<JobOptions> options, CancellationToken cancellationToken)
    {
        if (!Identifiers.IsName(name))
            throw new ProblemException(ProblemCodes.InvalidValue, "A schedule's name is 1 to 64 of lower-case letters, digits and - _ .", ("path", "name"));
        var limit = options.Value.MaxSubmissionBytes;
        var definition = SubmissionReader.ReadBody<ScheduleDefinition>(await Requests.ReadBodyAsync(request, limit, cancellationToken));
        if (definition.Job is { Id: not null } or { RunAt: not null } or { DelaySeconds: not null })
            throw new ProblemException(ProblemCodes.InvalidValue, "`job` of a schedule has no `id`, `runAt` and `delaySeconds`: the schedule gives it its id and its time.", ("path", "job"));
        try
        {
            submitter.CheckFields(definition.Job);
        }
        catch (ProblemException exception)
        {
            // Told now, not in `lastError` at its first time.
            throw new ProblemException(new Problem(exception.Problem.Code, $"The schedule's `job` could never be made: {exception.Problem.Message}", exception.Problem.Details), exception);
        }

        // Its jobs are made later, when nobody calls: they may do what whoever made the schedule may.
        SubmissionScopes.Require(definition.Job, caller.Scopes);
        var now = time.GetUtcNow();
        var schedule = new Schedule
        {
            Name = name,
            Cron = definition.Cron,
            TimeZone = definition.TimeZone ?? "UTC",
            Missed = definition.Missed ?? MissedRuns.Once,
            Paused = definition.Paused ?? false,
            Job = definition.Job,
            CreatedAt = now,
        };
        var next = CronTimes.After(schedule, now)
            ?? throw new ProblemException(ProblemCodes.InvalidValue, "`cron` names no time that ever comes, as the 30th of February would be.", ("path", "cron"));
        schedule = schedule with { NextAt = next };
        var isNew = await store.PutAsync(caller.Tenant, schedule, cancellationToken);
        var stored = await store.FindAsync(caller.Tenant, name, cancellationToken) ?? schedule;
        return isNew ? Results.Created($"/v1/schedules/{name}", Show(stored)) : Results.Ok(Show(stored));
    }

    private static async Task<IReadOnlyList<Schedule>> ListAsync(Caller caller, IScheduleStore store, CancellationToken cancellationToken) => [.. (await store.ListAsync(caller.Tenant, cancellationToken)).Select(Show)];

    private static async Task<Schedule> GetAsync(Caller caller, string name, IScheduleStore store, CancellationToken cancellationToken) => Show(await store.FindAsync(caller.Tenant, name, cancellationToken) ?? throw NotFound(name));

    private static async Task<IResult> DeleteAsync(Caller caller, string name, IScheduleStore store, CancellationToken cancellationToken) =>
        await store.DeleteAsync(caller.Tenant, name, cancellationToken) ? Results.NoContent() : throw NotFound(name);

    /// <summary>Whoever may read schedules may not sign webhooks.</summary>
    private static Schedule Show(Schedule schedule) => schedule.Job.Webhook is { Secret: not null } webhook ? schedule with { Job = schedule.Job with { Webhook = webhook with { Secret = null } } } : schedule;

    private static ProblemException NotFound(string name) => new(ProblemCodes.ScheduleNotFound, $"There is no schedule `{name}`.", ("name", name));
}
