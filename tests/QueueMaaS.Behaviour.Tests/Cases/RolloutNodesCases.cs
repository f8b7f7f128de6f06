using System.Net.Http.Json;
using QueueMaaS.Behaviour.Tests.Setup;
using QueueMaaS.Client;
using QueueMaaS.Contracts;

namespace QueueMaaS.Behaviour.Tests.Cases;

/// <summary>A rollout over processes of their own: two that decide, two that serve.</summary>
[Collection("faults")]
public sealed class RolloutNodesCases(WorkerProcesses processes) : IClassFixture<WorkerProcesses>
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task What_several_workers_served_is_added_up_and_decided_once_though_several_could()
    {
        var other = processes.Start("api,notify");
        processes.Start("inference");
        processes.Start("inference");
        using var http = new HttpClient { BaseAddress = new Uri(other.Url), Timeout = TimeSpan.FromMinutes(3) };
        await other.WaitUntilReadyAsync(http);
        await processes.Api.UploadModelAsync("rolled", new MemoryStream(TestModels.Double()), Cancel);
        await processes.Api.UploadModelAsync("rolled", new MemoryStream(TestModels.Double()), Cancel);
        using var begun = await http.PostAsync("v1/models/rolled/rollouts", Requests.Json("""{"version":2,"steps":[0.4,0.6],"minRequests":150,"minSeconds":2,"errorRate":{"max":0.05,"maxIncrease":0.05}}"""), Cancel);
        var rollout = (await begun.Content.ReadFromJsonAsync<Rollout>(QueueMaaSJson.Relaxed, Cancel))!;

        using var limit = new CancellationTokenSource(TimeSpan.FromMinutes(2));
        while (rollout.EndedAt is null)
        {
            var jobs = await Task.WhenAll(Enumerable.Range(0, 100).Select(_ => processes.Api.SubmitAsync(QueueMaaSClient.Inference(new InferenceInput { Model = "rolled", Inputs = [Requests.Row(1, 2)] }), cancellationToken: limit.Token)));
            await Task.WhenAll(jobs.Select(job => processes.Api.WaitAsync(job.Id, limit.Token)));
            rollout = (await http.GetFromJsonAsync<Rollout>($"v1/models/rolled/rollouts/{rollout.Id}", QueueMaaSJson.Relaxed, limit.Token))!;
        }

        (rollout.State, rollout.Step).ShouldBe((RolloutState.Promoted, 2));
        (await processes.CountedByAsync(rollout.Id)).ShouldBe(2, "both workers have served and counted");
        var decisions = (await http.GetFromJsonAsync<Page<ModelDecision>>("v1/models/rolled/decisions", QueueMaaSJson.Relaxed, Cancel))!.Items;
        decisions.Select(d => d.Outcome).ShouldBe([DecisionOutcome.Promoted, DecisionOutcome.Advanced, DecisionOutcome.Started]);
        (await processes.Api.GetModelAsync("rolled", Cancel)).Version.ShouldBe(2);
    }
}
