using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Options;
using QueueMaaS.Api.Access;
using QueueMaaS.Api.Hosting;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Catalog;
using QueueMaaS.Jobs.Deployment;
using QueueMaaS.Jobs.Life;
using QueueMaaS.Jobs.Notification;
using QueueMaaS.Jobs.Submission;

namespace QueueMaaS.Api.Deployment;

/// <summary>Promotions by a gate, and the decisions about versions.</summary>
internal static class PromotionRoutes
{
    private const int MaxBodyBytes = 1 << 18;

    public static void MapPromotions(this IEndpointRouteBuilder routes)
    {
        var models = routes.MapGroup("/v1/models").WithTags("Models").WithScopes([AccessScopes.Read], [AccessScopes.Models]);
        models.MapPost("{reference}/promote", PromoteAsync).WithAudit("model.promotion.request").Accepts<PromotionRequest>("application/json").Produces<Job>(StatusCodes.Status202Accepted).Produces<Job>()
            .WithSummary("Point an alias at a version if a gate holds").WithDescription("Makes a job of the kind `promotion`, which measures what the gate asks for; its output is the decision. `Prefer: wait=N` waits for it.")
            .WithExample("gate", """{"alias":"production","gate":{"metrics":[{"metric":"accuracy","atLeast":0.7,"dataset":"animals","split":"test"}],"notWorse":{"dataset":"animals","split":"test","tolerance":0.01,"judgement":"significance"},"latency":{"p99Ms":5,"batchSize":1}}}""");
        models.MapGet("{name}/decisions", ListAsync).Produces<Page<ModelDecision>>().WithSummary("What was decided about a model's versions, newest first")
            .WithDescription("Every promotion by a gate and every step of a rollout: each condition with its measured value, who decided and why.");
    }

    private static async Task<IResult> PromoteAsync(
        Caller caller, string reference, HttpRequest request, IModelCatalog models, JobSubmitter submitter, JobWaiter waiter, IOptions<ApiOptions> options, CancellationToken cancellationToken)
    {
        var body = SubmissionReader.ReadBody<PromotionRequest>(await Requests.ReadBodyAsync(request, MaxBodyBytes, cancellationToken));
        GateCheck.RequireNumbers(body.Gate);
        // What the reference means now is what is judged, wherever its alias points later.
        var version = await models.RequireAsync(caller.Tenant, reference, cancellationToken);
        var input = JsonSerializer.SerializeToElement(new PromotionInput { Model = $"{version.Name}@{version.Version}", Alias = body.Alias, Gate = body.Gate }, QueueMaaSJson.Relaxed);
        var outcome = await submitter.SubmitAsync(new JobSubmission { Kind = JobKind.Promotion, Input = input }, new SubmissionOrigin(caller.Tenant), cancellationToken);
        return await AnswerAsync(caller, request, outcome.Job, waiter, options.Value, cancellationToken);
    }

    /// <summary>The job as it is, or where the caller waits for it, at its end.</summary>
    public static async Task<IResult> AnswerAsync(Caller caller, HttpRequest request, JobRecord job, JobWaiter waiter, ApiOptions options, CancellationToken cancellationToken)
    {
        if (Requests.Wait(request, options.MaxWait) is { } wait)
            job = await waiter.WaitForEndAsync(caller.Tenant, job.Id, wait, cancellationToken) ?? job;
        var location = $"/v1/jobs/{Uri.EscapeDataString(job.Id)}";
        request.HttpContext.Response.Headers.Location = location;
        return job.State.IsFinal() ? Results.Ok(job.ToJob()) : Results.Accepted(location, job.ToJob());
    }

    private static async Task<Page<ModelDecision>> ListAsync(Caller caller, string name, IModelCatalog models, IDeploymentStore deployments, string? cursor, int? limit, CancellationToken cancellationToken)
    {
        var size = Requests.Limit(limit);
        var found = await deployments.DecisionsAsync(caller.Tenant, name, Requests.ReadCursor(cursor), size + 1, cancellationToken);
        if (found.Count == 0)
            await models.RequireModelAsync(caller.Tenant, name, cancellationToken);
        return Requests.ToPage(found, size, static decision => decision.Id);
    }
}
