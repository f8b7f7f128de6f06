using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using QueueMaaS.Api.Health;
using QueueMaaS.Jobs.Settings;
using QueueMaaS.Storage.Database;

namespace QueueMaaS.Health;

/// <summary>
/// Whether this machine's clock can be trusted: due times and deadlines of all processes are compared by their own clocks (leases, on PostgreSQL, by the database's). It is held against the database's (PostgreSQL),
/// and against the time that has passed since the last look by the monotonic clock, which no correction moves.
/// </summary>
internal sealed class ClockHealth(IDbContextFactory<QueueMaaSDbContext> contexts, TimeProvider time, CurrentOptions<HealthOptions> options) : IHealthCheck
{
    // A jump is told for this long; after it everybody lives by the new time.
    private static readonly TimeSpan JumpIsTold = TimeSpan.FromMinutes(5);
    private readonly Lock _look = new();
    private (DateTimeOffset Wall, long Timestamp)? _last;
    private (TimeSpan By, DateTimeOffset At)? _jump;

    public async Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        var most = options.Value.MaxClockOffset;
        var data = new Dictionary<string, object>();
        if (await OffsetAsync(cancellationToken) is { } offset)
        {
            data[HealthJournal.ClockOffset] = Math.Round(offset.TotalSeconds, 3);
            if (offset.Duration() > most)
                return HealthCheckResult.Degraded($"This machine's clock is {offset.Duration().TotalSeconds:0.0} s {(offset > TimeSpan.Zero ? "ahead of" : "behind")} the database's, more than Health:MaxClockOffset ({most.TotalSeconds:0.#} s): leases, schedules and deadlines come {(offset > TimeSpan.Zero ? "early" : "late")}. Synchronise both (chrony, systemd-timesyncd).", data: data);
        }

        return Jump(most) is { } jump
            ? HealthCheckResult.Degraded($"This machine's clock jumped by {jump.By.TotalSeconds:+0.0;-0.0} s at {jump.At:u}: leases may have ended early and schedules have fired late or twice. Synchronise it (chrony, systemd-timesyncd).", data: data)
            : HealthCheckResult.Healthy(data: data);
    }

    /// <summary>How far the wall clock moved away from the monotonic one since the last look, where that is more than allowed or was so a moment ago.</summary>
    internal (TimeSpan By, DateTimeOffset At)? Jump(TimeSpan most)
    {
        lock (_look)
        {
            var (wall, timestamp) = (time.GetUtcNow(), time.GetTimestamp());
            if (_last is { } last && (wall - last.Wall - time.GetElapsedTime(last.Timestamp, timestamp)) is var by && by.Duration() > most)
                _jump = (by, wall);
            _last = (wall, timestamp);
            if (_jump is { } told && (wall - told.At).Duration() > JumpIsTold)
                _jump = null;
            return _jump;
        }
    }

    private async Task<TimeSpan?> OffsetAsync(CancellationToken cancellationToken)
    {
        try
        {
            await using var database = await contexts.CreateDbContextAsync(cancellationToken);
            if (!database.Database.IsNpgsql())
                return null;
            await using var command = database.Database.GetDbConnection().CreateCommand();
            await command.Connection!.OpenAsync(cancellationToken);
            command.CommandText = "select clock_timestamp()";
            var before = time.GetTimestamp();
            var there = new DateTimeOffset((DateTime)(await command.ExecuteScalarAsync(cancellationToken))!);
            // The answer is as old as its way back, about half of the whole.
            return time.GetUtcNow() - (time.GetElapsedTime(before) / 2) - there;
        }
        catch (Exception exception) when (exception is System.Data.Common.DbException or TimeoutException or InvalidOperationException)
        {
            // The database's own check says that it is away.
            return null;
        }
    }
}
