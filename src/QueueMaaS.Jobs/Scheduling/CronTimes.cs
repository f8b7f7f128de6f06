using Cronos;
using QueueMaaS.Contracts;

namespace QueueMaaS.Jobs.Scheduling;

/// <summary>The times of a schedule.</summary>
public static class CronTimes
{
    private const int MostRuns = 100;

    // A service that is busy or restarts quickly has not missed anything.
    private static readonly TimeSpan Grace = TimeSpan.FromMinutes(1);

    /// <exception cref="ProblemException">The expression or the time zone is not one.</exception>
    public static (CronExpression Expression, TimeZoneInfo Zone) Parse(string cron, string timeZone)
    {
        ArgumentNullException.ThrowIfNull(cron);
        try
        {
            var withSeconds = cron.Split(' ', StringSplitOptions.RemoveEmptyEntries).Length == 6;
            return (CronExpression.Parse(cron, withSeconds ? CronFormat.IncludeSeconds : CronFormat.Standard), TimeZoneInfo.FindSystemTimeZoneById(timeZone));
        }
        catch (CronFormatException exception)
        {
            throw new ProblemException(ProblemCodes.InvalidValue, $"`cron` is not a cron expression: {exception.Message} Five fields (minute hour day month weekday), or six with seconds first.", ("path", "cron"));
        }
        catch (Exception exception) when (exception is TimeZoneNotFoundException or InvalidTimeZoneException or ArgumentException)
        {
            throw new ProblemException(ProblemCodes.InvalidValue, $"`timeZone` must be the name of a time zone, such as `Europe/Berlin`; there is no `{timeZone}`.", ("path", "timeZone"));
        }
    }

    /// <summary>The first time after a moment; null where there is none.</summary>
    public static DateTimeOffset? After(Schedule schedule, DateTimeOffset moment)
    {
        ArgumentNullException.ThrowIfNull(schedule);
        var (expression, zone) = Parse(schedule.Cron, schedule.TimeZone);
        return expression.GetNextOccurrence(moment, zone)?.ToUniversalTime();
    }

    /// <summary>For which times a due schedule makes jobs now, and when it is due next.</summary>
    public static (IReadOnlyList<DateTimeOffset> Runs, DateTimeOffset? Next) Due(Schedule schedule, DateTimeOffset now)
    {
        ArgumentNullException.ThrowIfNull(schedule);
        var latest = new Queue<DateTimeOffset>();
        var next = schedule.NextAt;
        while (next is { } moment && moment <= now)
        {
            latest.Enqueue(moment);
            if (latest.Count > MostRuns)
                latest.Dequeue();
            next = After(schedule, moment);
        }

        IEnumerable<DateTimeOffset> runs = schedule.Missed switch
        {
            MissedRuns.All => latest,
            MissedRuns.Skip => latest.TakeLast(1).Where(moment => now - moment <= Grace),
            _ => latest.TakeLast(1),
        };
        return ([.. runs], next);
    }
}
