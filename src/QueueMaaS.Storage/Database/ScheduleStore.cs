using Microsoft.EntityFrameworkCore;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Scheduling;

namespace QueueMaaS.Storage.Database;

/// <summary>The stored schedules, by EF Core.</summary>
internal sealed class ScheduleStore(DatabaseSession database) : IScheduleStore
{
    public Task<bool> PutAsync(string tenant, Schedule schedule, CancellationToken cancellationToken) => database.WriteAsync(async context =>
    {
        var row = await context.Schedules.SingleOrDefaultAsync(found => found.Tenant == tenant && found.Name == schedule.Name, cancellationToken);
        var isNew = row is null;
        if (row is null)
        {
            row = new ScheduleRow { Tenant = tenant, Name = schedule.Name, Cron = schedule.Cron, TimeZone = schedule.TimeZone, Missed = "", Submission = "", CreatedAt = schedule.CreatedAt };
            context.Schedules.Add(row);
        }

        (row.Cron, row.TimeZone, row.Missed, row.Paused, row.Submission, row.NextAt) = (schedule.Cron, schedule.TimeZone, schedule.Missed.ToString(), schedule.Paused, Json.Write(schedule.Job), schedule.NextAt);
        return isNew;
    }, cancellationToken);

    public Task<Schedule?> FindAsync(string tenant, string name, CancellationToken cancellationToken) => database.ReadAsync(
        async context => await context.Schedules.SingleOrDefaultAsync(row => row.Tenant == tenant && row.Name == name, cancellationToken) is { } row ? Show(row) : null, cancellationToken);

    public Task<IReadOnlyList<Schedule>> ListAsync(string tenant, CancellationToken cancellationToken) => database.ReadAsync<IReadOnlyList<Schedule>>(
        async context => [.. (await context.Schedules.Where(row => row.Tenant == tenant).OrderBy(row => row.Name).ToListAsync(cancellationToken)).Select(Show)], cancellationToken);

    public Task<bool> DeleteAsync(string tenant, string name, CancellationToken cancellationToken) => database.WriteAsync(
        async context => await context.Schedules.Where(row => row.Tenant == tenant && row.Name == name).ExecuteDeleteAsync(cancellationToken) > 0, cancellationToken);

    public Task<IReadOnlyList<(string Tenant, Schedule Schedule)>> DueAsync(DateTimeOffset now, int limit, CancellationToken cancellationToken) =>
        database.ReadAsync<IReadOnlyList<(string, Schedule)>>(
            async context => [.. (await context.Schedules.Where(row => row.NextAt <= now && !row.Paused).OrderBy(row => row.NextAt).Take(limit).ToListAsync(cancellationToken)).Select(row => (row.Tenant, Show(row)))],
            cancellationToken);

    public Task AdvanceAsync(string tenant, Schedule schedule, DateTimeOffset seen, CancellationToken cancellationToken) => database.WriteAsync(
        context => context.Schedules.Where(row => row.Tenant == tenant && row.Name == schedule.Name && row.NextAt == seen).ExecuteUpdateAsync(
            set => set.SetProperty(row => row.NextAt, schedule.NextAt).SetProperty(row => row.LastAt, schedule.LastAt)
                .SetProperty(row => row.LastJobId, schedule.LastJobId).SetProperty(row => row.LastError, schedule.LastError),
            cancellationToken),
        cancellationToken);

    private static Schedule Show(ScheduleRow row) => new()
    {
        Name = row.Name,
        Cron = row.Cron,
        TimeZone = row.TimeZone,
        Missed = Enum.Parse<MissedRuns>(row.Missed),
        Paused = row.Paused,
        Job = Json.Read<JobSubmission>(row.Submission)!,
        CreatedAt = row.CreatedAt,
        NextAt = row.NextAt,
        LastAt = row.LastAt,
        LastJobId = row.LastJobId,
        LastError = row.LastError,
    };
}
