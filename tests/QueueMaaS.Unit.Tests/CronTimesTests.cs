using System.Text.Json;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Scheduling;

namespace QueueMaaS.Unit.Tests;

/// <summary>The times of schedules: zones, changes of the clock, missed times.</summary>
public sealed class CronTimesTests
{
    [Fact]
    public void A_time_that_the_clock_skips_comes_when_the_clock_goes_on_and_one_that_it_repeats_comes_once()
    {
        // In Berlin 2026-03-29 has no 02:30, and 2026-10-25 has two.
        var schedule = Make("30 2 * * *", "Europe/Berlin", MissedRuns.Once, next: null);
        CronTimes.After(schedule, new DateTimeOffset(2026, 3, 28, 12, 0, 0, TimeSpan.Zero)).ShouldBe(new DateTimeOffset(2026, 3, 29, 1, 0, 0, TimeSpan.Zero));
        var first = CronTimes.After(schedule, new DateTimeOffset(2026, 10, 24, 12, 0, 0, TimeSpan.Zero))!.Value;
        CronTimes.After(schedule, first)!.Value.ShouldBeGreaterThan(first.AddHours(20));
    }

    [Theory]
    [InlineData(MissedRuns.Once, 1)]
    [InlineData(MissedRuns.Skip, 0)]
    [InlineData(MissedRuns.All, 5)]
    public void Times_missed_while_the_service_was_away_are_made_up_for_as_the_schedule_says(MissedRuns missed, int runs)
    {
        var noon = new DateTimeOffset(2026, 6, 1, 12, 0, 0, TimeSpan.Zero);
        var (made, next) = CronTimes.Due(Make("0 * * * *", "UTC", missed, noon), noon.AddHours(4).AddMinutes(30));
        made.Count.ShouldBe(runs);
        next.ShouldBe(noon.AddHours(5));
    }

    [Fact]
    public void A_run_that_is_seconds_late_is_not_missed()
    {
        var noon = new DateTimeOffset(2026, 6, 1, 12, 0, 0, TimeSpan.Zero);
        CronTimes.Due(Make("0 * * * *", "UTC", MissedRuns.Skip, noon), noon.AddSeconds(20)).Runs.ShouldBe([noon]);
    }

    private static Schedule Make(string cron, string zone, MissedRuns missed, DateTimeOffset? next) => new()
    {
        Name = "s",
        Cron = cron,
        TimeZone = zone,
        Missed = missed,
        Paused = false,
        Job = new JobSubmission { Kind = JobKind.Inference, Input = JsonElement.Parse("{}") },
        CreatedAt = DateTimeOffset.UnixEpoch,
        NextAt = next,
    };
}
