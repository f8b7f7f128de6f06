using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Life;

namespace QueueMaaS.Jobs.Catalog;

/// <summary>The trials of sweeps.</summary>
public interface ISweepLeaderboards
{
    /// <summary>All trials of a sweep as they stand, the best first.</summary>
    /// <param name="sweep">The sweep's job, in whatever state.</param>
    /// <param name="cancellationToken">Stops.</param>
    Task<SweepLeaderboard> ReadAsync(JobRecord sweep, CancellationToken cancellationToken);
}
