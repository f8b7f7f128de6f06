using QueueMaaS.Contracts;

namespace QueueMaaS.Jobs.Scheduling;

/// <summary>The stored schedules.</summary>
public interface IScheduleStore
{
    /// <summary>Makes or replaces a schedule; true where it is new.</summary>
    Task<bool> PutAsync(string tenant, Schedule schedule, CancellationToken cancellationToken);

    Task<Schedule?> FindAsync(string tenant, string name, CancellationToken cancellationToken);

    /// <summary>All of a tenant, by name.</summary>
    Task<IReadOnlyList<Schedule>> ListAsync(string tenant, CancellationToken cancellationToken);

    Task<bool> DeleteAsync(string tenant, string name, CancellationToken cancellationToken);

    /// <summary>Schedules of all tenants that are due.</summary>
    Task<IReadOnlyList<(string Tenant, Schedule Schedule)>> DueAsync(DateTimeOffset now, int limit, CancellationToken cancellationToken);

    /// <summary>Writes what came of a due schedule, unless it was changed or another process did it meanwhile (its next time is not <paramref name="seen"/> any more).</summary>
    Task AdvanceAsync(string tenant, Schedule schedule, DateTimeOffset seen, CancellationToken cancellationToken);
}
