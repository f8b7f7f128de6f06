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
}
