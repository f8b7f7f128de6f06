using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using QueueMaaS.Api.Access;
using QueueMaaS.Api.Hosting;
using QueueMaaS.Api.Jobs;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Catalog;
using QueueMaaS.Jobs.Life;

namespace QueueMaaS.Api.Training;

/// <summary>What only sweeps have.</summary>
internal static class SweepRoutes
{
    private const int DefaultLimit = 100;
    private const int MostTrials = 1_000;

    public static void MapSweeps(this IEndpointRouteBuilder routes) =>
        routes.MapGet("/v1/jobs/{id}/leaderboard", LeaderboardAsync).WithScope(AccessScopes.Read).Produces<SweepLeaderboard>().WithTags("Training").WithSummary("A sweep's trials, the best first")
            .WithDescription("Every trial with its parameters, state, figures, rung and job; at any time, also of a sweep that runs or has failed. `limit` trials (1 to 1,000, default 100) from place `offset` on.");

    private static async Task<SweepLeaderboard> LeaderboardAsync(Caller caller, string id, int? limit, int? offset, IJobStore store, ISweepLeaderboards leaderboards, CancellationToken cancellationToken)
    {
        if (limit is < 1 or > MostTrials)
            throw new ProblemException(ProblemCodes.InvalidValue, $"`limit` must be a whole number from 1 to {MostTrials}.", ("path", "limit"));
        if (offset is < 0)
            throw new ProblemException(ProblemCodes.InvalidValue, "`offset` must be 0 or more.", ("path", "offset"));
        var job = await store.FindAsync(caller.Tenant, id, cancellationToken) ?? throw JobRoutes.NotFound(id);
        if (job.Kind != JobKind.Sweep)
            throw new ProblemException(ProblemCodes.JobStateConflict, $"Job `{id}` is no sweep; only those have a leaderboard.", ("kind", job.Kind));
        var board = await leaderboards.ReadAsync(job, cancellationToken);
        return board with { Trials = [.. board.Trials.Skip(offset ?? 0).Take(limit ?? DefaultLimit)] };
    }
}
