using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using QueueMaaS.Api.Access;
using QueueMaaS.Api.Hosting;
using QueueMaaS.Api.Jobs;
using QueueMaaS.Contracts;
using QueueMaaS.Inference.BatchJobs;
using QueueMaaS.Jobs.Life;

namespace QueueMaaS.Api.Batches;

/// <summary>What only batch jobs have.</summary>
internal static class BatchRoutes
{
    public static void MapBatches(this IEndpointRouteBuilder routes) =>
        routes.MapGet("/v1/jobs/{id}/partial", PartialAsync).WithScope(AccessScopes.Read).Produces<BatchOutput>().WithTags("Jobs").WithSummary("What a batch job has done so far")
            .WithDescription("Joins the chunks that have ended, in input order. For a job that is running, was cancelled, or failed in the middle; one that has succeeded has its `output`.");

    private static async Task<BatchOutput> PartialAsync(Caller caller, string id, IJobStore store, BatchSummaries summaries, CancellationToken cancellationToken)
    {
        var job = await store.FindAsync(caller.Tenant, id, cancellationToken) ?? throw JobRoutes.NotFound(id);
        return job.Kind == JobKind.Batch
            ? await summaries.PartialAsync(job, cancellationToken)
            : throw new ProblemException(ProblemCodes.JobStateConflict, $"Job `{id}` is no batch job; only those have partial results.", ("kind", job.Kind));
    }
}
