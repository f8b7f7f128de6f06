using System.Net;
using System.Text.Json;
using QueueMaaS.Behaviour.Tests.Setup;
using QueueMaaS.Contracts;

namespace QueueMaaS.Behaviour.Tests.Cases;

/// <summary>Jobs that wait for others, and groups.</summary>
public abstract class RelationCases(ServiceFixture service)
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_job_runs_after_another_with_its_output_as_input()
    {
        var first = await service.Api.SubmitAsync(Requests.Double(1, 2) with { DelaySeconds = 0.5 }, cancellationToken: Cancel);
        var input = JsonElement.Parse($$$"""{"model":"double","inputs":[{"name":"x","datatype":"FP32","shape":[1,2],"data":{"$output":"{{{first.Id}}}","path":"/outputs/0/data"}}]}""");
        var second = await service.Api.SubmitAsync(new JobSubmission { Kind = JobKind.Inference, Input = input }, cancellationToken: Cancel);
        second.State.ShouldBe(JobState.Scheduled);
        second.After.ShouldBe([first.Id]);
        Requests.Values(await service.Api.WaitAsync(second.Id, Cancel)).ShouldBe([4, 8]);
        (await service.Api.GetAsync(second.Id, Cancel)).StartedAt!.Value.ShouldBeGreaterThanOrEqualTo((await service.Api.GetAsync(first.Id, Cancel)).FinishedAt!.Value);
    }

    [Fact]
    public async Task A_job_after_one_that_has_succeeded_runs_at_once()
    {
        var first = await service.Api.SubmitAsync(Requests.Double(1, 2), cancellationToken: Cancel);
        await service.Api.WaitAsync(first.Id, Cancel);
        var second = await service.Api.SubmitAsync(Requests.Double(5, 6) with { After = [first.Id] }, cancellationToken: Cancel);
        (await service.Api.WaitAsync(second.Id, Cancel)).State.ShouldBe(JobState.Succeeded);
    }

    [Fact]
    public async Task Jobs_after_one_that_cannot_succeed_are_cancelled_one_after_the_other()
    {
        var first = await service.Api.SubmitAsync(Requests.Double(1, 2) with { DelaySeconds = 3600 }, cancellationToken: Cancel);
        var second = await service.Api.SubmitAsync(Requests.Double(3, 4) with { After = [first.Id] }, cancellationToken: Cancel);
        var third = await service.Api.SubmitAsync(Requests.Double(5, 6) with { After = [second.Id] }, cancellationToken: Cancel);
        await service.Api.CancelAsync(first.Id, Cancel);
        foreach (var id in (string[])[second.Id, third.Id])
        {
            var ended = await service.Api.WaitAsync(id, Cancel);
            ended.State.ShouldBe(JobState.Cancelled);
            ended.Error!.Code.ShouldBe(ProblemCodes.DependencyFailed);
        }
    }

    [Fact]
    public async Task An_output_that_has_not_what_is_referred_to_cancels_the_job_with_its_place()
    {
        var first = await service.Api.SubmitAsync(Requests.Double(1, 2) with { DelaySeconds = 0.3 }, cancellationToken: Cancel);
        var input = JsonElement.Parse($$$"""{"model":"double","inputs":{"$output":"{{{first.Id}}}","path":"/no/such/place"}}""");
        var second = await service.Api.SubmitAsync(new JobSubmission { Kind = JobKind.Inference, Input = input }, cancellationToken: Cancel);
        var ended = await service.Api.WaitAsync(second.Id, Cancel);
        ended.State.ShouldBe(JobState.Cancelled);
        ended.Error!.Code.ShouldBe(ProblemCodes.ReferenceInvalid);
        ended.Error.Message.ShouldContain("/no/such/place");
    }

    [Fact]
    public async Task A_job_after_one_that_is_not_there_is_refused()
    {
        var refused = await Should.ThrowAsync<ProblemException>(service.Api.SubmitAsync(Requests.Double(1, 1) with { After = ["no-such-job"] }, cancellationToken: Cancel));
        refused.Problem.Code.ShouldBe(ProblemCodes.JobNotFound);
    }

    [Fact]
    public async Task A_group_completes_once_when_its_last_job_has_ended()
    {
        var path = Requests.NewId();
        var definition = new { url = service.Webhooks.Url(path), events = (string[])["group.completed"] };
        using var endpoint = await service.Http.PostAsync("v1/webhook-endpoints", Requests.Json(JsonSerializer.Serialize(definition)), Cancel);
        endpoint.StatusCode.ShouldBe(HttpStatusCode.Created);
        var endpointId = JsonElement.Parse(await endpoint.Content.ReadAsStringAsync(Cancel)).GetProperty("id").GetString();
        var id = Requests.NewId();
        var jobs = Enumerable.Range(0, 20).Select(i => Requests.Double(i, i));
        using var accepted = await service.Http.PostAsync("v1/groups", Requests.Json(JsonSerializer.Serialize(new { id, jobs }, QueueMaaSJson.Relaxed)), Cancel);
        accepted.StatusCode.ShouldBe(HttpStatusCode.Accepted, await accepted.Content.ReadAsStringAsync(Cancel));
        var group = JsonSerializer.Deserialize<JobGroup>(await service.Http.GetStringAsync($"v1/groups/{id}?wait=30", Cancel), QueueMaaSJson.Relaxed)!;
        group.CompletedAt.ShouldNotBeNull();
        group.Counts[JobState.Succeeded].ShouldBe(20);
        var told = await service.Webhooks.NextAsync(path);
        told.Body.ShouldContain("group.completed");
        told.Body.ShouldContain(id);
        await service.Jobs.FollowUpAsync(Cancel);
        await service.Http.DeleteAsync($"v1/webhook-endpoints/{endpointId}", Cancel);
        service.Webhooks.Waiting(path).ShouldBe(0, "it completes once");
        (await service.Http.GetStringAsync($"v1/jobs?group={id}&limit=200", Cancel)).ShouldContain($"{id}.20");
    }

    [Fact]
    public async Task Of_a_group_with_one_job_at_fault_none_is_accepted_and_the_problem_says_which()
    {
        var id = Requests.NewId();
        using var refused = await GroupAsync(id, [Requests.Double(1, 2), Requests.Double(1, 2) with { Priority = 99 }]);
        var problem = await Requests.ProblemAsync(refused);
        problem.Code.ShouldBe(ProblemCodes.InvalidValue);
        problem.Detail.ShouldStartWith($"Job 2 of the group (`{id}.2`): `priority` must be");
        (await refused.Content.ReadAsStringAsync(Cancel)).ShouldContain("jobs[1].priority");
        await NothingOfAsync(id);

        // Nor where it is found only when the others are in the table already.
        var known = await service.Api.SubmitAsync(Requests.Double(1, 2) with { Id = Requests.NewId() }, cancellationToken: Cancel);
        using var clashing = await GroupAsync(id, [Requests.Double(1, 2), Requests.Double(3, 4) with { Id = known.Id }]);
        (await Requests.ProblemAsync(clashing)).Code.ShouldBe(ProblemCodes.IdempotencyConflict);
        await NothingOfAsync(id);
    }

    [Fact]
    public async Task Jobs_of_a_group_may_wait_for_each_other_in_any_order_but_not_in_a_circle()
    {
        var id = Requests.NewId();
        using var accepted = await GroupAsync(id, [Requests.Double(1, 2) with { After = [$"{id}.3"] }, Requests.Double(3, 4), Requests.Double(5, 6) with { After = [$"{id}.2"] }]);
        accepted.StatusCode.ShouldBe(HttpStatusCode.Accepted, await accepted.Content.ReadAsStringAsync(Cancel));
        var jobs = new List<Job>();
        foreach (var number in (int[])[2, 3, 1])
            jobs.Add(await service.Api.WaitAsync($"{id}.{number}", Cancel));
        jobs.ShouldAllBe(job => job.State == JobState.Succeeded);
        (await service.Http.GetStringAsync($"v1/groups/{id}?wait=30", Cancel)).ShouldContain("completedAt");
        jobs[1].StartedAt!.Value.ShouldBeGreaterThanOrEqualTo(jobs[0].FinishedAt!.Value);
        jobs[2].StartedAt!.Value.ShouldBeGreaterThanOrEqualTo(jobs[1].FinishedAt!.Value);

        var circle = Requests.NewId();
        using var refused = await GroupAsync(circle, [Requests.Double(1, 2) with { After = [$"{circle}.2"] }, Requests.Double(1, 2) with { After = [$"{circle}.1"] }]);
        (await Requests.ProblemAsync(refused)).Detail.ShouldContain("circle");
    }

    [Fact]
    public async Task A_group_completes_though_one_of_its_jobs_was_deleted_and_takes_no_more_than_its_size()
    {
        var group = new GroupMembership(Requests.NewId(), 2);
        var first = await service.Api.SubmitAsync(Requests.Double(1, 2) with { Group = group }, cancellationToken: Cancel);
        await service.Api.WaitAsync(first.Id, Cancel);
        (await service.Http.DeleteAsync($"v1/jobs/{first.Id}", Cancel)).StatusCode.ShouldBe(HttpStatusCode.NoContent);
        var second = await service.Api.SubmitAsync(Requests.Double(3, 4) with { Group = group }, cancellationToken: Cancel);
        var shown = JsonSerializer.Deserialize<JobGroup>(await service.Http.GetStringAsync($"v1/groups/{group.Id}?wait=30", Cancel), QueueMaaSJson.Relaxed)!;
        shown.CompletedAt.ShouldNotBeNull();
        (shown.Deleted, shown.Counts[JobState.Succeeded]).ShouldBe((1, 1));

        var full = await Should.ThrowAsync<ProblemException>(service.Api.SubmitAsync(Requests.Double(5, 6) with { Group = group }, cancellationToken: Cancel));
        full.Problem.Message.ShouldContain("no room");
        // With its last job it goes itself.
        (await service.Http.DeleteAsync($"v1/jobs/{second.Id}", Cancel)).StatusCode.ShouldBe(HttpStatusCode.NoContent);
        (await service.Http.GetAsync($"v1/groups/{group.Id}", Cancel)).StatusCode.ShouldBe(HttpStatusCode.NotFound);
    }

    [Fact]
    public async Task A_job_that_must_be_unique_belongs_to_no_group()
    {
        using var refused = await GroupAsync(Requests.NewId(), [Requests.Double(1, 2) with { Unique = new UniqueRule { Key = "k" } }]);
        (await Requests.ProblemAsync(refused)).Detail.ShouldContain("`unique` must be left out");
    }

    [Fact]
    public async Task What_another_job_waits_for_is_not_deleted_before_that_has_started()
    {
        var first = await service.Api.SubmitAsync(Requests.Double(1, 2), cancellationToken: Cancel);
        await service.Api.WaitAsync(first.Id, Cancel);
        var later = await service.Api.SubmitAsync(Requests.Double(1, 2) with { DelaySeconds = 3600 }, cancellationToken: Cancel);
        var waiting = await service.Api.SubmitAsync(Requests.Double(3, 4) with { After = [first.Id, later.Id] }, cancellationToken: Cancel);

        using var refused = await service.Http.DeleteAsync($"v1/jobs/{first.Id}", Cancel);
        (await Requests.ProblemAsync(refused)).Detail.ShouldContain("wait for job");
        while (await service.Jobs.DeleteOldAsync(JobState.Succeeded, DateTimeOffset.UtcNow.AddMinutes(1), 1000, Cancel) > 0)
            Cancel.ThrowIfCancellationRequested();
        (await service.Api.GetAsync(waiting.Id, Cancel)).State.ShouldBe(JobState.Scheduled);

        await service.Api.CancelAsync(waiting.Id, Cancel);
        await service.Jobs.FollowUpAsync(Cancel);
        await service.Api.CancelAsync(later.Id, Cancel);
        await service.Jobs.FollowUpAsync(Cancel);
        (await service.Http.DeleteAsync($"v1/jobs/{first.Id}", Cancel)).StatusCode.ShouldBe(HttpStatusCode.NoContent);
    }

    private async Task NothingOfAsync(string group)
    {
        (await service.Http.GetAsync($"v1/groups/{group}", Cancel)).StatusCode.ShouldBe(HttpStatusCode.NotFound);
        (await service.Http.GetAsync($"v1/jobs/{group}.1", Cancel)).StatusCode.ShouldBe(HttpStatusCode.NotFound);
    }

    private Task<HttpResponseMessage> GroupAsync(string id, JobSubmission[] jobs) => service.Http.PostAsync("v1/groups", Requests.Json(JsonSerializer.Serialize(new { id, jobs }, QueueMaaSJson.Relaxed)), Cancel);
}
