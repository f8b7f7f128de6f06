using System.Text.Json;
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

/// <summary>Shadow traffic: another version computes beside.</summary>
internal static class ShadowRoutes
{
    private const int MaxBodyBytes = 1 << 16;

    public static void MapShadows(this IEndpointRouteBuilder routes)
    {
        var shadows = routes.MapGroup("/v1/models/{name}/shadow").WithTags("Models").WithScopes([AccessScopes.Read], [AccessScopes.Models]);
        shadows.MapPut("", StartAsync).WithAudit("model.shadow").Accepts<ShadowRequest>("application/json").Produces<Shadow>()
            .WithSummary("Have a version compute beside").WithDescription("A share of an alias's requests is computed by this version, too, after they were answered and in moments in which the worker is idle. A model has one shadow; another takes its place and counts anew.")
            .WithExample("shadow", """{"version":4,"share":0.2}""");
        shadows.MapGet("", GetAsync).Produces<Shadow>().WithSummary("How the shadow's answers compare, over all workers");
        shadows.MapDelete("", StopAsync).WithAudit("model.shadow.stop").Produces<Shadow>().WithSummary("End the shadow; answers its last counts");
    }

    private static async Task<Shadow> StartAsync(Caller caller, string name, HttpRequest request, IModelCatalog models, IWatchStore watches, TimeProvider time, CancellationToken cancellationToken)
    {
        var asked = SubmissionReader.ReadBody<ShadowRequest>(await Requests.ReadBodyAsync(request, MaxBodyBytes, cancellationToken));
        if (asked.Share is not (> 0 and <= 1))
            throw new ProblemException(ProblemCodes.InvalidValue, "`share` must be over 0 and at most 1.", ("path", "share"));
        CatalogRoutes.RequireAlias(asked.Alias);
        var version = await models.RequireAsync(caller.Tenant, $"{name}@{asked.Version}", cancellationToken);
        var served = await models.RequireAsync(caller.Tenant, $"{name}@{asked.Alias}", cancellationToken);
        if (served.Version == version.Version)
            throw new ProblemException(ProblemCodes.InvalidValue, $"`{asked.Alias}` points to version {asked.Version} already; a version is not compared with itself.", ("path", "version"));
        if (!TrafficShares.TakesTheSame(served, version))
            throw new ProblemException(ProblemCodes.InvalidValue, $"`{name}@{asked.Version}` takes other inputs than version {served.Version}, which `{asked.Alias}` points to, so it could not compute its requests.", ("path", "version"));
        var watch = ModelWatch.Open(WatchKind.Shadow, caller.Tenant, name, asked.Version, ShadowStanding.OpenKeyOf(name), JsonSerializer.Serialize(asked, QueueMaaSJson.Relaxed), "{}", time.GetUtcNow());
        while (!await watches.AddAsync(watch, cancellationToken))
        {
            if (await OpenAsync(caller, name, watches, cancellationToken) is { } before)
                await EndAsync(before, watches, time, cancellationToken);
        }

        return ShadowStanding.Show(watch, []);
    }

    private static async Task<Shadow> GetAsync(Caller caller, string name, IModelCatalog models, IWatchStore watches, CancellationToken cancellationToken)
    {
        var watch = await RequireAsync(caller, name, models, watches, cancellationToken);
        return ShadowStanding.Show(watch, await watches.SummariesAsync(watch.Id, cancellationToken));
    }

    private static async Task<Shadow> StopAsync(Caller caller, string name, IModelCatalog models, IWatchStore watches, TimeProvider time, CancellationToken cancellationToken)
    {
        var watch = await RequireAsync(caller, name, models, watches, cancellationToken);
        var last = ShadowStanding.Show(watch, await watches.SummariesAsync(watch.Id, cancellationToken));
        await EndAsync(watch, watches, time, cancellationToken);
        return last;
    }

    private static Task<bool> EndAsync(ModelWatch watch, IWatchStore watches, TimeProvider time, CancellationToken cancellationToken)
    {
        (watch.OpenKey, watch.EndedAt) = (null, time.GetUtcNow());
        return watches.ChangeAsync(watch, cancellationToken);
    }

    private static Task<ModelWatch?> OpenAsync(Caller caller, string name, IWatchStore watches, CancellationToken cancellationToken) =>
        watches.FindOpenAsync(caller.Tenant, ShadowStanding.OpenKeyOf(name), cancellationToken);

    private static async Task<ModelWatch> RequireAsync(Caller caller, string name, IModelCatalog models, IWatchStore watches, CancellationToken cancellationToken)
    {
        if (await OpenAsync(caller, name, watches, cancellationToken) is { } watch)
            return watch;
        await models.RequireModelAsync(caller.Tenant, name, cancellationToken);
        throw new ProblemException(ProblemCodes.ShadowNotFound, $"Model `{name}` has no shadow. PUT /v1/models/{name}/shadow begins one.", ("model", name));
    }
}
