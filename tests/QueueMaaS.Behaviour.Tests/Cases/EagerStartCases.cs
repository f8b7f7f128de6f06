using Microsoft.Extensions.DependencyInjection;
using QueueMaaS.Behaviour.Tests.Setup;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Execution;
using QueueMaaS.Jobs.Life;

namespace QueueMaaS.Behaviour.Tests.Cases;

/// <summary>Jobs that start in the process that accepts them.</summary>
public abstract class EagerStartCases(ServiceFixture service)
{
    private const string Tenant = "default";

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    private string Worker => service.Services.GetRequiredService<WorkerIdentity>().Name;

    [Fact]
    public async Task The_answer_tells_the_job_as_it_was_accepted_and_the_history_tells_of_the_queue_and_of_the_start()
    {
        var submitted = await service.Api.SubmitAsync(Requests.Double(1, 2), cancellationToken: Cancel);
        submitted.State.ShouldBe(JobState.Queued);
        (submitted.Sequence, submitted.Attempt).ShouldBe((1, 0));
        Requests.Values(await service.Api.WaitAsync(submitted.Id, Cancel)).ShouldBe([2, 4]);
        var events = await service.Jobs.EventsAsync(submitted.Id, 0, 10, Cancel);
        events.Select(e => (e.Sequence, e.Type, e.Attempt)).ShouldBe([(1, "queued", 0), (2, "running", 1), (3, "succeeded", 1)]);
        events[1].By.ShouldBe(Worker);
    }

    [Fact]
    public async Task A_record_given_as_started_is_its_workers_alone_until_its_lease_ends()
    {
        var job = await StoreAsync(Requests.NewId(), "another", TimeSpan.FromMinutes(5));
        (job.State, job.Fence, job.Attempt, job.Sequence, job.LeaseOwner).ShouldBe((JobState.Running, 1, 1, 2, "another"));
        var left = job.LeaseUntil - DateTimeOffset.UtcNow;
        left!.Value.ShouldBeInRange(TimeSpan.FromMinutes(4), TimeSpan.FromMinutes(6));
        (await service.Jobs.ClaimAsync([job.Id], "test", TimeSpan.FromMinutes(1), Cancel)).ShouldBeEmpty();
        (await service.Jobs.CompleteAsync([new AttemptEnd(job, JobState.Succeeded) { Output = "{}", Worker = "another" }], Cancel)).ShouldBe([true]);
    }

    [Fact]
    public async Task A_job_stored_as_started_by_a_try_whose_answer_was_lost_starts_when_it_is_submitted_again()
    {
        // What the lost try has stored: the job under this process's own claim, which nobody runs.
        var id = Requests.NewId();
        await StoreAsync(id, Worker, TimeSpan.FromMinutes(5));
        (await service.Api.SubmitAsync(Requests.Double(3, 4) with { Id = id }, cancellationToken: Cancel)).Id.ShouldBe(id);
        var job = await service.Api.WaitAsync(id, Cancel);
        Requests.Values(job).ShouldBe([6, 8]);
        job.Attempt.ShouldBe(1);
    }

    [Fact]
    public async Task A_job_whose_deadline_passed_while_it_was_stored_expires_unrun()
    {
        var id = Requests.NewId();
        await StoreAsync(id, Worker, TimeSpan.FromMinutes(5), deadline: DateTimeOffset.UtcNow);
        await service.Api.SubmitAsync(Requests.Double(3, 4) with { Id = id }, cancellationToken: Cancel);
        var job = await service.Api.WaitAsync(id, Cancel);
        (job.State, job.Attempt).ShouldBe((JobState.Expired, 0));
    }

    [Fact]
    public async Task A_job_that_waits_for_a_worker_for_longer_than_a_moment_is_seen_whoever_dispatched_it()
    {
        var id = Requests.NewId();
        var past = DateTimeOffset.UtcNow - TimeSpan.FromSeconds(5);
        await service.Jobs.AcceptAsync([new JobRecord { Id = id, Tenant = Tenant, Kind = JobKind.Evaluation, State = JobState.Queued, MaxAttempts = 1, Priority = 5, Input = "{}", RequestHash = "h", CreatedAt = past, DueAt = past }], Cancel);
        (await service.Jobs.AnyWaitingAsync(JobKind.Evaluation, past + TimeSpan.FromSeconds(1), Cancel)).ShouldBeTrue();
        (await service.Jobs.AnyWaitingAsync(JobKind.Evaluation, past, Cancel)).ShouldBeFalse();
        await service.Jobs.CancelAsync(Tenant, id, "test", Cancel);
        (await service.Jobs.AnyWaitingAsync(JobKind.Evaluation, past + TimeSpan.FromSeconds(1), Cancel)).ShouldBeFalse();
    }

    /// <summary>Stores the job of <c>Double(3, 4)</c> as started by a worker.</summary>
    private async Task<JobRecord> StoreAsync(string id, string worker, TimeSpan lease, DateTimeOffset? deadline = null)
    {
        // One that was submitted in earnest, under another id: the hash that tells a repeat does not know the id.
        var like = await service.Api.SubmitAsync(Requests.Double(3, 4), cancellationToken: Cancel);
        await service.Api.WaitAsync(like.Id, Cancel);
        var record = (await service.Jobs.FindAsync(Tenant, like.Id, Cancel))!.AsAccepted();
        record.Id = id;
        var now = DateTimeOffset.UtcNow;
        (record.CreatedAt, record.DueAt, record.FinishedAt, record.Output) = (now, now, null, null);
        record.Deadline = deadline;
        (record.State, record.Attempt, record.Fence, record.StartedAt, record.LeaseOwner, record.LeaseUntil) = (JobState.Running, 1, 1, now, worker, now + lease);
        (await service.Jobs.AcceptAsync([record], Cancel)).ShouldHaveSingleItem().Kind.ShouldBe(AcceptKind.New);
        return (await service.Jobs.FindAsync(Tenant, id, Cancel))!;
    }
}
