using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using QueueMaaS.Api.Access;
using QueueMaaS.Api.Hosting;
using QueueMaaS.Api.Models;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Catalog;
using QueueMaaS.Jobs.Deployment;
using QueueMaaS.Jobs.Submission;

namespace QueueMaaS.Api.Deployment;

/// <summary>Rollouts of a version, promoted or rolled back by what was served.</summary>
internal static class RolloutRoutes
{
    private const int MaxBodyBytes = 1 << 16;

    public static void MapRollouts(this IEndpointRouteBuilder routes)
    {
        var rollouts = routes.MapGroup("/v1/models/{name}/rollouts").WithTags("Models").WithScopes([AccessScopes.Read], [AccessScopes.Models]);
        rollouts.MapPost("", StartAsync).WithAudit("model.rollout.request").Accepts<RolloutRequest>("application/json").Produces<Rollout>(StatusCodes.Status201Created)
            .WithSummary("Roll a version out").WithDescription("The version takes a growing share of the requests that name the model alone, and becomes `production` or takes none any more, by what it and the production version really served on all workers.")
            .WithExample("steps", """{"version":4,"steps":[0.05,0.25,0.5],"minRequests":500,"minSeconds":300,"errorRate":{"max":0.02,"maxIncrease":0.005},"latency":{"p99Ms":50,"maxFactor":1.2}}""");
        rollouts.MapGet("", ListAsync).Produces<Page<Rollout>>().WithSummary("List a model's rollouts, newest first");
        rollouts.MapGet("{id}", GetAsync).Produces<Rollout>().WithSummary("Get a rollout, with what was served and how its limits stand");
        rollouts.MapPost("{id}/stop", StopAsync).WithAudit("model.rollout.stop").Produces<Rollout>().WithSummary("Stop a rollout: the version takes no share any more");
        rollouts.MapPost("{id}/promote", PromoteAsync).WithAudit("model.rollout.promote").Produces<Rollout>().WithSummary("End a rollout with a promotion, whatever was served");
    }

    private static async Task<IResult> StartAsync(Caller caller, string name, HttpRequest request, IModelCatalog models, Rollouts rollouts, CancellationToken cancellationToken)
    {
        var asked = SubmissionReader.ReadBody<RolloutRequest>(await Requests.ReadBodyAsync(request, MaxBodyBytes, cancellationToken));
        RolloutCheck.Check(asked);
        // The last step's share has to fit beside those of other aliases, not the first one's alone.
        await TrafficShares.CheckAsync(
            new ModelAlias(name, asked.Alias, asked.Version) { Share = asked.Steps[^1] }, await models.AliasesAsync(caller.Tenant, name, cancellationToken),
            version => models.FindAsync(caller.Tenant, new VersionReference(name, version, Alias: null), cancellationToken));
        var production = await models.RequireAsync(caller.Tenant, $"{name}@production", cancellationToken);
        if (production.Version == asked.Version)
            throw new ProblemException(ProblemCodes.RolloutInvalid, $"`production` points to version {asked.Version} already.", ("path", "version"));
        var rollout = await rollouts.StartAsync(caller.Tenant, name, asked, production.Version, caller.Name, cancellationToken);
        return Results.Created($"/v1/models/{name}/rollouts/{rollout.Id}", rollout);
    }

    private static Task<Rollout> GetAsync(Caller caller, string name, string id, Rollouts rollouts, CancellationToken cancellationToken) => rollouts.GetAsync(caller.Tenant, name, id, cancellationToken);

    private static async Task<Page<Rollout>> ListAsync(Caller caller, string name, Rollouts rollouts, IModelCatalog models, string? cursor, int? limit, CancellationToken cancellationToken)
    {
        var size = Requests.Limit(limit);
        var found = await rollouts.ListAsync(caller.Tenant, name, Requests.ReadCursor(cursor), size + 1, cancellationToken);
        if (found.Count == 0)
            await models.RequireModelAsync(caller.Tenant, name, cancellationToken);
        return Requests.ToPage(found, size, static rollout => rollout.Id);
    }

    private static Task<Rollout> StopAsync(Caller caller, string name, string id, Rollouts rollouts, CancellationToken cancellationToken) => rollouts.EndAsync(caller.Tenant, name, id, promote: false, caller.Name, cancellationToken);

    private static Task<Rollout> PromoteAsync(Caller caller, string name, string id, Rollouts rollouts, CancellationToken cancellationToken) => rollouts.EndAsync(caller.Tenant, name, id, promote: true, caller.Name, cancellationToken);
}
