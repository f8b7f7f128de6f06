using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Life;

namespace QueueMaaS.Unit.Tests;

public sealed class JobStatesTests
{
    [Theory]
    [InlineData(JobState.Succeeded)]
    [InlineData(JobState.Cancelled)]
    [InlineData(JobState.Expired)]
    public void A_final_job_becomes_nothing_else(JobState final)
    {
        final.IsFinal().ShouldBeTrue();
        Enum.GetValues<JobState>().ShouldAllBe(other => !final.CanBecome(other));
    }

    [Fact]
    public void A_failed_job_can_only_be_put_back_in_the_queue() =>
        Enum.GetValues<JobState>().Where(other => JobState.Failed.CanBecome(other)).ShouldBe([JobState.Queued]);

    [Fact]
    public void Only_a_queued_job_can_begin_to_run() => JobStates.Before(JobState.Running).ShouldBe([JobState.Queued]);

    [Fact]
    public void A_retry_waits_between_nothing_and_its_doubled_ceiling()
    {
        var delays = new RetryDelays(TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(10));
        for (var attempt = 1; attempt <= 40; attempt++)
            delays.After(attempt).ShouldBeInRange(TimeSpan.Zero, TimeSpan.FromSeconds(Math.Min(10, Math.Pow(2, attempt - 1))));
    }
}
