using System.Text.Json;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using QueueMaaS.Behaviour.Tests.Setup;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Life;
using QueueMaaS.Storage.Database;

namespace QueueMaaS.Behaviour.Tests.Cases;

/// <summary>A tenant that may run one job at a time: what waits for the place, and who gets it.</summary>
public abstract class PlacesCases(ServiceFixture service)
{
    private const string Tenant = "narrow";

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task No_more_jobs_of_a_tenant_run_at_a_time_than_it_may()
    {
        var ids = Enumerable.Range(0, 5).Select(_ => Requests.NewId()).ToArray();
        await service.Jobs.AcceptAsync([.. ids.Select(Waiting)], Cancel);
        var claimed = (await Task.WhenAll(ids.Select(id => service.Jobs.ClaimAsync([id], "test", TimeSpan.FromMinutes(1), Cancel)))).SelectMany(jobs => jobs).ToArray();
        claimed.ShouldHaveSingleItem();
        await service.Jobs.CompleteAsync([Done(claimed[0])], Cancel);
        // The place is free: one more is claimed, here or by the service's own worker, which was told of it.
        (await service.Jobs.ClaimAsync(ids, "test", TimeSpan.FromMinutes(1), Cancel)).Count.ShouldBeLessThanOrEqualTo(1);
        // Read at one moment: read one after the other, a job that ended and the one that took its place would both be seen running.
        var begun = await service.Jobs.ListAsync(new JobQuery(Tenant) { Limit = 100 }, Cancel);
        begun.ShouldContain(job => job.Id != claimed[0].Id && ids.Contains(job.Id) && job.Attempt > 0);
        begun.Count(job => job.State == JobState.Running).ShouldBeLessThanOrEqualTo(1);
        foreach (var id in ids)
            await service.Jobs.CancelAsync(Tenant, id, "test", Cancel);
    }

    [Theory]
    [InlineData("ends")]
    [InlineData("is cancelled")]
    [InlineData("is given up")]
    public async Task A_job_that_found_no_place_starts_when_one_is_free_the_most_urgent_first(string how)
    {
        await service.ShareModelAsync(Tenant);
        var holder = await HoldPlaceAsync();
        var jobs = new Dictionary<int, Job>();
        foreach (var priority in (int[])[3, 5, 9, 0])
            jobs[priority] = await SubmitAsync(Requests.Double(priority, 1) with { Priority = priority });
        // The workers have met all of them, so none of their pointers is on the bus any more.
        await WaitUntilHeldAsync([.. jobs.Values]);

        if (how == "ends")
            (await service.Jobs.CompleteAsync([Done(holder)], Cancel)).ShouldBe([true]);
        else if (how == "is cancelled")
            await service.Jobs.CancelAsync(Tenant, holder.Id, "test", Cancel);
        else
            await service.Jobs.CompleteAsync([new AttemptEnd(holder, JobState.Failed) { Error = new Problem("test", "A test."), Worker = "test" }], Cancel);

        // They would be sent again after 20 s, 40 s …: well before that all have been done, one after the other.
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        limit.CancelAfter(TimeSpan.FromSeconds(15));
        var ended = new List<JobRecord>();
        foreach (var job in jobs.Values)
            ended.Add(await EndedAsync(job.Id, limit.Token));
        ended.OrderBy(job => job.StartedAt).Select(job => job.Priority).ShouldBe([9, 5, 3, 0]);
        ended.ShouldAllBe(job => job.State == JobState.Succeeded);
    }

    [Fact]
    public async Task What_waits_for_a_place_stands_in_nobodys_way()
    {
        await service.ShareModelAsync(Tenant);
        var holder = await HoldPlaceAsync();
        // More than there is room for on the bus.
        var jobs = await Task.WhenAll(Enumerable.Range(0, 1200).Select(number => SubmitAsync(Requests.Double(number, 1) with { Priority = 9 })));
        Requests.Values(await service.Api.WaitAsync((await service.Api.SubmitAsync(Requests.Double(5, 6) with { Priority = 9 }, cancellationToken: Cancel)).Id, Cancel)).ShouldBe([10, 12]);
        (await service.Jobs.FindAsync(Tenant, jobs[^1].Id, Cancel))!.State.ShouldBe(JobState.Queued);

        foreach (var job in jobs.Skip(20))
            await service.Jobs.CancelAsync(Tenant, job.Id, "test", Cancel);
        await service.Jobs.CompleteAsync([Done(holder)], Cancel);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        limit.CancelAfter(TimeSpan.FromSeconds(15));
        foreach (var job in jobs.Take(20))
            (await EndedAsync(job.Id, limit.Token)).State.ShouldBe(JobState.Succeeded);
    }

    [Fact]
    public async Task A_job_in_parts_has_one_place_and_its_parts_need_none()
    {
        await service.ShareModelAsync(Tenant);
        var lines = string.Join('\n', Enumerable.Range(0, 3).Select(_ => """{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[1,2]}]}"""));
        using var upload = new HttpRequestMessage(HttpMethod.Post, "v1/artifacts") { Content = new StringContent(lines, System.Text.Encoding.UTF8, "application/x-ndjson") };
        upload.Headers.Add(BusNames.TenantHeader, Tenant);
        using var uploaded = await service.Http.SendAsync(upload, Cancel);
        var artifact = JsonElement.Parse(await uploaded.Content.ReadAsStringAsync(Cancel)).GetProperty("id").GetString()!;
        var job = await SubmitAsync(Client.QueueMaaSClient.Batch(new BatchInput { Model = "double", Artifact = artifact, ChunkSize = 1 }));
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        limit.CancelAfter(TimeSpan.FromSeconds(30));
        (await EndedAsync(job.Id, limit.Token)).State.ShouldBe(JobState.Succeeded);
    }

    /// <summary>A job that a worker which does nothing has claimed, so that the tenant's place is taken.</summary>
    private async Task<JobRecord> HoldPlaceAsync()
    {
        var id = Requests.NewId();
        await service.Jobs.AcceptAsync([Waiting(id)], Cancel);
        return (await service.Jobs.ClaimAsync([id], "test", TimeSpan.FromMinutes(1), Cancel)).ShouldHaveSingleItem();
    }

    private async Task WaitUntilHeldAsync(Job[] jobs)
    {
        var ids = jobs.Select(job => job.Id).ToArray();
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        limit.CancelAfter(TimeSpan.FromSeconds(30));
        while (true)
        {
            await using var context = await service.Services.GetRequiredService<IDbContextFactory<QueueMaaSDbContext>>().CreateDbContextAsync(limit.Token);
            if (await context.Held.CountAsync(row => ids.Contains(row.JobId), limit.Token) == ids.Length)
                return;
            await Task.Delay(50, limit.Token);
        }
    }

    private async Task<JobRecord> EndedAsync(string id, CancellationToken cancellationToken)
    {
        while (true)
        {
            var job = (await service.Jobs.FindAsync(Tenant, id, cancellationToken))!;
            if (job.State.IsFinal())
                return job;
            await Task.Delay(20, cancellationToken);
        }
    }

    private async Task<Job> SubmitAsync(JobSubmission submission)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "v1/jobs") { Content = Requests.Json(JsonSerializer.Serialize(submission, QueueMaaSJson.Relaxed)) };
        request.Headers.Add(BusNames.TenantHeader, Tenant);
        using var response = await service.Http.SendAsync(request, Cancel);
        response.EnsureSuccessStatusCode();
        return JsonSerializer.Deserialize<Job>(await response.Content.ReadAsStringAsync(Cancel), QueueMaaSJson.Relaxed)!;
    }

    private static AttemptEnd Done(JobRecord job) => new(job, JobState.Succeeded) { Output = "{}", Worker = "test" };

    private static JobRecord Waiting(string id) => new()
    {
        Id = id,
        Tenant = Tenant,
        Kind = JobKind.Training,
        State = JobState.Queued,
        MaxAttempts = 3,
        Input = "{}",
        RequestHash = id,
        CreatedAt = DateTimeOffset.UtcNow,
        DueAt = DateTimeOffset.UtcNow,
    };
}
