using QueueMaaS.Jobs.Estimation;

namespace QueueMaaS.Unit.Tests;

public sealed class JobEstimatorTests
{
    private static readonly ModelLoad Load = new("sha256:0", PerRow: 0.01, PerBatch: 0.02, BatchSize: 8, Instances: 1, QueuedRows: 0, DateTimeOffset.UnixEpoch);

    [Fact]
    public void On_an_idle_worker_a_job_starts_at_once_and_takes_a_batch_of_one()
    {
        var (start, finish) = JobEstimator.Estimate([Load], waiting: 0);

        start.ShouldBe(TimeSpan.Zero);
        finish.TotalSeconds.ShouldBe(0.03, 1e-6);
    }

    [Fact]
    public void What_waits_before_it_is_cleared_by_all_workers_together()
    {
        var (one, _) = JobEstimator.Estimate([Load with { QueuedRows = 80 }], waiting: 720);
        var (two, _) = JobEstimator.Estimate([Load with { QueuedRows = 80 }, Load], waiting: 720);

        one.TotalSeconds.ShouldBe(100 * 0.1, 1e-6);
        two.TotalSeconds.ShouldBe(one.TotalSeconds / 2, 1e-6);
    }
}
