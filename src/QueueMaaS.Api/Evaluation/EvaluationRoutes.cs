using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using QueueMaaS.Api.Access;
using QueueMaaS.Api.Hosting;
using QueueMaaS.Api.Jobs;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Catalog;
using QueueMaaS.Jobs.Life;

namespace QueueMaaS.Api.Evaluation;

/// <summary>What only evaluations have.</summary>
internal static class EvaluationRoutes
{
    // The page holds names out of data sets. They are encoded; should that ever fail, the browser still runs and loads nothing.
    private const string Policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

    public static void MapEvaluations(this IEndpointRouteBuilder routes) =>
        routes.MapGet("/v1/jobs/{id}/report", ReportAsync).WithScope(AccessScopes.Read).Produces<string>(contentType: "text/html").WithTags("Jobs").WithSummary("An evaluation's page")
            .WithDescription("HTML that needs nothing else: it loads no script, style, font or picture from anywhere.");

    private static async Task<IResult> ReportAsync(Caller caller, string id, HttpContext http, IJobStore store, IArtifactStore artifacts, CancellationToken cancellationToken)
    {
        var job = await store.FindAsync(caller.Tenant, id, cancellationToken) ?? throw JobRoutes.NotFound(id);
        if (job.Kind != JobKind.Evaluation)
            throw new ProblemException(ProblemCodes.JobStateConflict, $"Job `{id}` is no evaluation; only those have a report.", ("kind", job.Kind));
        if (job.State != JobState.Succeeded || job.Output is null)
            throw new ProblemException(ProblemCodes.JobStateConflict, $"Evaluation `{id}` is {job.State.ToString().ToLowerInvariant()}; it has a report once it has succeeded.", ("state", job.State));
        var output = JsonSerializer.Deserialize<EvaluationOutput>(job.Output, QueueMaaSJson.Relaxed)!;
        http.Response.Headers.ContentSecurityPolicy = Policy;
        http.Response.Headers.XContentTypeOptions = "nosniff";
        return Results.File(await artifacts.OpenAsync(output.ReportArtifact!, cancellationToken), "text/html; charset=utf-8");
    }
}
