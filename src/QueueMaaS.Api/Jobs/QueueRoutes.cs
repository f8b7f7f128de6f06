using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using QueueMaaS.Api.Access;
using QueueMaaS.Api.Hosting;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Life;

namespace QueueMaaS.Api.Jobs;

/// <summary>The queues, one for each kind of job: how long they are, and stopping them.</summary>
internal static class QueueRoutes
{
    public static void MapQueues(this IEndpointRouteBuilder routes)
    {
        var queues = routes.MapGroup("/v1/queues").WithTags("Operations").WithScopes([AccessScopes.Admin], [AccessScopes.Admin]);
        queues.MapGet("", ListAsync).Produces<IReadOnlyList<QueueView>>().WithSummary("List the queues");
        queues.MapPost("{kind}/pause", PauseAsync).WithAudit("queue.pause").Produces<QueueView>().WithSummary("Stop a queue").WithDescription("No job of the kind starts any more, of any tenant; those that run go on, and new ones are accepted.");
        queues.MapPost("{kind}/resume", ResumeAsync).WithAudit("queue.resume").Produces<QueueView>().WithSummary("Let a queue go on");
    }

    private static async Task<IReadOnlyList<QueueView>> ListAsync(Caller caller, IJobStore store, IQueueControl control, CancellationToken cancellationToken)
    {
        caller.RequireOperator("The length of the queues");
        var counts = await store.CountAsync(cancellationToken);
        var pauses = await control.PausesAsync(cancellationToken);
        return [.. Enum.GetValues<JobKind>().Select(kind => Show(kind, counts, pauses))];
    }

    private static async Task<QueueView> PauseAsync(Caller caller, string kind, string? reason, IJobStore store, IQueueControl control, CancellationToken cancellationToken)
    {
        caller.RequireOperator("Stopping a queue");
        var queue = JobRoutes.ReadEnum<JobKind>(kind, "kind")!.Value;
        await control.PauseAsync(queue, caller.Name, reason, cancellationToken);
        return Show(queue, await store.CountAsync(cancellationToken), await control.PausesAsync(cancellationToken));
    }

    private static async Task<QueueView> ResumeAsync(Caller caller, string kind, IJobStore store, IQueueControl control, CancellationToken cancellationToken)
    {
        caller.RequireOperator("Letting a queue go on");
        var queue = JobRoutes.ReadEnum<JobKind>(kind, "kind")!.Value;
        await control.ResumeAsync(queue, cancellationToken);
        return Show(queue, await store.CountAsync(cancellationToken), await control.PausesAsync(cancellationToken));
    }

    private static QueueView Show(JobKind kind, IReadOnlyDictionary<(JobKind Kind, JobState State), int> counts, IReadOnlyList<QueuePause> pauses)
    {
        var pause = pauses.FirstOrDefault(pause => pause.Kind == kind);
        return new QueueView(
            kind, counts.GetValueOrDefault((kind, JobState.Scheduled)), counts.GetValueOrDefault((kind, JobState.Queued)), counts.GetValueOrDefault((kind, JobState.Running)),
            counts.GetValueOrDefault((kind, JobState.Retrying)), pause is not null, pause?.At, pause?.By, pause?.Reason);
    }
}

/// <summary>A queue with the jobs in it, of all tenants.</summary>
internal sealed record QueueView(JobKind Kind, int Scheduled, int Queued, int Running, int Retrying, bool Paused, DateTimeOffset? PausedAt, string? PausedBy, string? Reason);
