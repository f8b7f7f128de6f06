using System.Text.Json;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Catalog;
using QueueMaaS.Jobs.Life;

namespace QueueMaaS.Training.Sweeps;

/// <summary>Reads leaderboards from the sweeps' child jobs.</summary>
internal sealed class SweepLeaderboards(IJobStore jobs) : ISweepLeaderboards
{
    public async Task<SweepLeaderboard> ReadAsync(JobRecord sweep, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(sweep);
        var children = await jobs.ChildrenAsync(sweep.Id, cancellationToken);
        // What was accepted is shown, though the limit may have been lowered since.
        var input = JsonElement.Parse(sweep.Input);
        var plan = SweepPlan.Of(input, int.MaxValue, TrialJobs.ProposalOf(children, SweepPlan.Of(input, int.MaxValue).Input.Metric));
        var standing = SweepStanding.Of(plan, children);
        return new() { Sweep = sweep.Id, State = sweep.State, Metric = standing.Metric, Count = standing.Trials.Count, Trials = standing.Trials };
    }
}
