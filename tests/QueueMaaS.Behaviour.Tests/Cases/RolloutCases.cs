using System.Net.Http.Json;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using QueueMaaS.Behaviour.Tests.Setup;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Deployment;

namespace QueueMaaS.Behaviour.Tests.Cases;

/// <summary>Rollouts: a version takes a growing share, and is promoted or rolled back by what it and production really served.</summary>
public abstract class RolloutCases(ServiceFixture service)
{
    private const string Infer = """{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[-1,4]}]}""";
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_version_that_keeps_the_limits_goes_through_its_steps_and_becomes_production()
    {
        var path = Requests.NewId();
        await service.Http.PostAsJsonAsync("v1/webhook-endpoints", new { url = service.Webhooks.Url(path), events = new[] { "model.promoted", "model.rollout" } }, Cancel);
        var model = await TwoVersionsAsync(TestModels.Double());
        var begun = await StartAsync(model, """{"version":2,"steps":[0.3,0.6],"minRequests":20,"minSeconds":0,"errorRate":{"max":0.05,"maxIncrease":0.05},"latency":{"p99Ms":60000}}""");
        (begun.State, begun.Step, begun.Share, begun.Production).ShouldBe((RolloutState.Running, 1, 0.3, 1));

        var ended = await DriveAsync(model, begun.Id);

        (ended.State, ended.Step, ended.Share).ShouldBe((RolloutState.Promoted, 2, 0.6));
        ended.Served!.Version.ShouldBe(2);
        ended.Served.Requests.ShouldBeGreaterThanOrEqualTo(20);
        ended.ServedByProduction!.Requests.ShouldBeGreaterThanOrEqualTo(20, "a limit is relative to what production served");
        (ended.Served.Errors, ended.Served.P99Ms > 0).ShouldBe((0, true));
        ended.Conditions!.Count.ShouldBe(3);
        ended.Conditions.ShouldAllBe(condition => condition.Held);
        (await AliasesAsync(model)).ShouldBe(["production=2"]);
        var decisions = await DecisionsAsync(model);
        decisions.Select(d => d.Outcome).ShouldBe([DecisionOutcome.Promoted, DecisionOutcome.Advanced, DecisionOutcome.Started]);
        (decisions[0].By, decisions[0].Before, decisions[2].By).ShouldBe(($"rollout {begun.Id}", 1, "user"));
        var audit = (await service.Http.GetFromJsonAsync<Page<AuditEntry>>("v1/audit?limit=200", QueueMaaSJson.Relaxed, Cancel))!.Items.Where(entry => entry.Subject == $"{model}/production/2").Select(entry => entry.Action);
        audit.ShouldBe(["model.promote", "model.rollout.advance", "model.rollout.start"]);
        var told = new List<string>();
        for (var i = 0; i < 3; i++)
            told.Add(JsonElement.Parse((await service.Webhooks.NextAsync(path)).Body).GetProperty("type").GetString()!);
        told.Order(StringComparer.Ordinal).ShouldBe(["model.promoted", "model.rollout", "model.rollout"]);
        (await service.Http.GetFromJsonAsync<Page<Rollout>>($"v1/models/{model}/rollouts", QueueMaaSJson.Relaxed, Cancel))!.Items.Single().State.ShouldBe(RolloutState.Promoted);
    }

    [Fact]
    public async Task A_version_that_fails_too_often_is_rolled_back_before_its_time_is_over()
    {
        // The root of −1 is no number, and the version says that those are failures.
        var model = await TwoVersionsAsync(TestModels.SquareRoot(), """{"rejectNonFinite":true}""");
        var begun = await StartAsync(model, """{"version":2,"steps":[0.5],"minRequests":100000,"minSeconds":3600,"maxSeconds":7200,"errorRate":{"maxIncrease":0.02}}""");
        var ended = await DriveAsync(model, begun.Id);

        ended.State.ShouldBe(RolloutState.RolledBack);
        ended.Served!.Errors.ShouldBe(ended.Served.Requests);
        ended.ServedByProduction!.Errors.ShouldBe(0);
        (await AliasesAsync(model)).ShouldBe(["production=1"]);
        var decision = (await DecisionsAsync(model))[0];
        (decision.Outcome, decision.Conditions.Single().Held).ShouldBe((DecisionOutcome.RolledBack, false));
        decision.Reason.ShouldContain("requests failed");
    }

    [Fact]
    public async Task A_version_that_is_much_slower_than_production_is_rolled_back()
    {
        var model = await TwoVersionsAsync(TestModels.Slow());
        var begun = await StartAsync(model, """{"version":2,"steps":[0.2],"minRequests":100000,"minSeconds":3600,"maxSeconds":7200,"latency":{"p99Ms":0.5}}""");
        var ended = await DriveAsync(model, begun.Id);
        (ended.State, ended.Conditions!.Single().Held).ShouldBe((RolloutState.RolledBack, false));
        ended.Served!.P99Ms!.Value.ShouldBeGreaterThan(0.5);
        (await AliasesAsync(model)).ShouldBe(["production=1"]);
    }

    [Fact]
    public async Task Without_enough_requests_by_the_end_of_its_time_a_version_is_rolled_back()
    {
        var model = await TwoVersionsAsync(TestModels.Double());
        var begun = await StartAsync(model, """{"version":2,"minSeconds":0,"maxSeconds":0.5,"errorRate":{"max":0.05}}""");
        var ended = await WaitAsync(model, begun.Id);
        ended.State.ShouldBe(RolloutState.RolledBack);
        ended.Reason!.ShouldContain("0 requests to the version");
    }

    [Fact]
    public async Task A_rollout_whose_next_share_another_alias_has_taken_meanwhile_is_rolled_back()
    {
        var model = await TwoVersionsAsync(TestModels.Double());
        var begun = await StartAsync(model, """{"version":2,"steps":[0.2,0.8],"minRequests":5,"minSeconds":0,"errorRate":{"max":0.5}}""");
        using (var other = await service.Http.PutAsync($"v1/models/{model}/aliases/other", Requests.Json("""{"version":1,"share":0.4}"""), Cancel))
            other.IsSuccessStatusCode.ShouldBeTrue();
        var ended = await DriveAsync(model, begun.Id);
        ended.State.ShouldBe(RolloutState.RolledBack);
        ended.Reason!.ShouldContain("other aliases");
        (await AliasesAsync(model)).ShouldBe(["other=1", "production=1"]);
    }

    [Fact]
    public async Task Whoever_moves_production_under_a_rollout_ends_it()
    {
        var model = await TwoVersionsAsync(TestModels.Double());
        await UploadAsync(model, TestModels.Double());
        var begun = await StartAsync(model, """{"version":2,"errorRate":{"max":0.05}}""");
        await service.Api.DeployAsync(model, "production", 3, Cancel);
        var ended = await WaitAsync(model, begun.Id);
        (ended.State, ended.Reason).ShouldBe((RolloutState.RolledBack, "`production` was pointed at version 3 meanwhile, so there is nothing left to compare with."));
        (await AliasesAsync(model)).ShouldBe(["production=3"]);
    }

    [Fact]
    public async Task A_rollout_is_stopped_or_promoted_by_hand_once()
    {
        var model = await TwoVersionsAsync(TestModels.Double());
        var begun = await StartAsync(model, """{"version":2,"errorRate":{"max":0.05}}""");
        (await EndAsync(model, begun.Id, "stop")).State.ShouldBe(RolloutState.RolledBack);
        (await AliasesAsync(model)).ShouldBe(["production=1"]);
        using (var again = await service.Http.PostAsync($"v1/models/{model}/rollouts/{begun.Id}/promote", null, Cancel))
            (await Requests.ProblemAsync(again)).ShouldSatisfyAllConditions(p => p.Status.ShouldBe(409), p => p.Code.ShouldBe(ProblemCodes.RolloutConflict));

        begun = await StartAsync(model, """{"version":2,"alias":"next","errorRate":{"max":0.05}}""");
        (await AliasesAsync(model)).ShouldBe(["next=2", "production=1"]);
        (await EndAsync(model, begun.Id, "promote")).State.ShouldBe(RolloutState.Promoted);
        (await AliasesAsync(model)).ShouldBe(["production=2"]);
        (await DecisionsAsync(model)).Select(d => (d.Outcome, d.By)).ShouldBe([(DecisionOutcome.Promoted, "user"), (DecisionOutcome.Started, "user"), (DecisionOutcome.RolledBack, "user"), (DecisionOutcome.Started, "user")]);
    }

    [Fact]
    public async Task Counts_of_several_workers_meet_and_of_several_processes_that_decide_one_does()
    {
        var model = await TwoVersionsAsync(TestModels.Double());
        var begun = await StartAsync(model, """{"version":2,"minRequests":60,"minSeconds":0,"errorRate":{"max":0.5}}""");
        var (watches, rollouts) = (service.Services.GetRequiredService<IWatchStore>(), service.Services.GetRequiredService<Rollouts>());
        TrafficSummary From(string worker, int requests) => new() { WatchId = begun.Id, Part = RolloutStanding.PartOf(0, 2), Worker = worker, Data = JsonSerializer.Serialize(new ServedData(requests, 1, [[100, requests - 1]]), QueueMaaSJson.Relaxed), ChangedAt = DateTimeOffset.UtcNow };

        await watches.PutAsync([From("one", 20)], Cancel);
        await watches.PutAsync([From("one", 30)], Cancel);
        (await GetAsync(model, begun.Id)).Served.ShouldSatisfyAllConditions(s => s!.Requests.ShouldBe(30), s => s!.Errors.ShouldBe(1));
        await watches.PutAsync([From("two", 35)], Cancel);
        await Task.WhenAll(Enumerable.Range(0, 8).Select(async _ =>
        {
            var watch = (await watches.FindAsync("default", begun.Id, Cancel))!;
            if (watch.EndedAt is null)
                await rollouts.DecideAsync(watch, Cancel);
        }));

        var ended = await WaitAsync(model, begun.Id);
        (ended.State, ended.Served!.Requests, ended.Served.Errors).ShouldBe((RolloutState.Promoted, 65, 2));
        (await DecisionsAsync(model)).Count(d => d.Outcome == DecisionOutcome.Promoted).ShouldBe(1);
    }

    [Fact]
    public async Task Requests_that_name_a_version_or_are_wrong_themselves_are_not_counted()
    {
        var model = await TwoVersionsAsync(TestModels.Double());
        var begun = await StartAsync(model, """{"version":2,"steps":[0.5],"minRequests":100000,"errorRate":{"max":0.5}}""");
        await WaitUntilCountedAsync(model, begun.Id);
        var before = await GetAsync(model, begun.Id);
        for (var i = 0; i < 20; i++)
        {
            using var version = await service.Http.PostAsync($"v2/models/{model}/versions/2/infer", Requests.Json(Infer), Cancel);
            version.IsSuccessStatusCode.ShouldBeTrue();
            using var wrong = await service.Http.PostAsync($"v2/models/{model}/infer", Requests.Json(Infer.Replace("[1,2]", "[1,3]", StringComparison.Ordinal)), Cancel);
            wrong.IsSuccessStatusCode.ShouldBeFalse();
        }

        // One more that counts shows that what came before it has been stored.
        await WaitUntilCountedAsync(model, begun.Id);
        var after = await GetAsync(model, begun.Id);
        (after.Served!.Requests + after.ServedByProduction!.Requests - before.Served!.Requests - before.ServedByProduction!.Requests).ShouldBe(1);
        after.Served.Errors.ShouldBe(0);
    }

    [Fact]
    public async Task What_could_never_be_decided_is_refused_at_once()
    {
        var model = await TwoVersionsAsync(TestModels.Double());
        await UploadAsync(model, TestModels.Zeros(3));
        foreach (var (body, code) in new (string, string)[]
        {
            ("{}", ProblemCodes.InvalidRequest),
            ("""{"version":2}""", ProblemCodes.RolloutInvalid),
            ("""{"version":2,"errorRate":{}}""", ProblemCodes.RolloutInvalid),
            ("""{"version":2,"errorRate":{"max":1}}""", ProblemCodes.RolloutInvalid),
            ("""{"version":2,"errorRate":{"maxIncrease":-0.1}}""", ProblemCodes.RolloutInvalid),
            ("""{"version":2,"latency":{}}""", ProblemCodes.RolloutInvalid),
            ("""{"version":2,"latency":{"p99Ms":0}}""", ProblemCodes.RolloutInvalid),
            ("""{"version":2,"latency":{"maxFactor":0}}""", ProblemCodes.RolloutInvalid),
            ("""{"version":2,"steps":[],"errorRate":{"max":0.1}}""", ProblemCodes.RolloutInvalid),
            ("""{"version":2,"steps":[0.5,0.1],"errorRate":{"max":0.1}}""", ProblemCodes.RolloutInvalid),
            ("""{"version":2,"steps":[1],"errorRate":{"max":0.1}}""", ProblemCodes.RolloutInvalid),
            ("""{"version":2,"minRequests":0,"errorRate":{"max":0.1}}""", ProblemCodes.RolloutInvalid),
            ("""{"version":2,"minSeconds":60,"maxSeconds":30,"errorRate":{"max":0.1}}""", ProblemCodes.RolloutInvalid),
            ("""{"version":2,"alias":"production","errorRate":{"max":0.1}}""", ProblemCodes.RolloutInvalid),
            ("""{"version":1,"errorRate":{"max":0.1}}""", ProblemCodes.RolloutInvalid),
            ("""{"version":9,"errorRate":{"max":0.1}}""", ProblemCodes.ModelNotFound),
            ("""{"version":3,"errorRate":{"max":0.1}}""", ProblemCodes.InvalidValue),
            ("""{"version":2,"errorRate":{"max":0.1},"colour":1}""", ProblemCodes.UnknownField),
        })
        {
            using var response = await service.Http.PostAsync($"v1/models/{model}/rollouts", Requests.Json(body), Cancel);
            (await Requests.ProblemAsync(response)).Code.ShouldBe(code, body);
        }

        await StartAsync(model, """{"version":2,"errorRate":{"max":0.1}}""");
        using (var second = await service.Http.PostAsync($"v1/models/{model}/rollouts", Requests.Json("""{"version":2,"errorRate":{"max":0.1}}"""), Cancel))
            (await Requests.ProblemAsync(second)).Code.ShouldBe(ProblemCodes.RolloutConflict);
        using var nothing = await service.Http.GetAsync($"v1/models/{model}/rollouts/nothing", Cancel);
        (await Requests.ProblemAsync(nothing)).ShouldSatisfyAllConditions(p => p.Status.ShouldBe(404), p => p.Code.ShouldBe(ProblemCodes.RolloutNotFound));
    }

    private async Task<string> TwoVersionsAsync(byte[] second, string? batching = null)
    {
        var model = Requests.NewId();
        await UploadAsync(model, TestModels.Double());
        await UploadAsync(model, second, batching);
        return model;
    }

    private async Task UploadAsync(string name, byte[] model, string? batching = null)
    {
        using var form = new MultipartFormDataContent { { new ByteArrayContent(model), "model", "model.onnx" } };
        if (batching is not null)
            form.Add(new StringContent(batching), "batching");
        using var response = await service.Http.PutAsync($"v1/models/{name}", form, Cancel);
        response.IsSuccessStatusCode.ShouldBeTrue(await response.Content.ReadAsStringAsync(Cancel));
    }

    private async Task<Rollout> StartAsync(string model, string body)
    {
        using var response = await service.Http.PostAsync($"v1/models/{model}/rollouts", Requests.Json(body), Cancel);
        var text = await response.Content.ReadAsStringAsync(Cancel);
        ((int)response.StatusCode).ShouldBe(201, text);
        return JsonSerializer.Deserialize<Rollout>(text, QueueMaaSJson.Relaxed)!;
    }

    private async Task<Rollout> EndAsync(string model, string id, string how)
    {
        using var response = await service.Http.PostAsync($"v1/models/{model}/rollouts/{id}/{how}", null, Cancel);
        var text = await response.Content.ReadAsStringAsync(Cancel);
        response.IsSuccessStatusCode.ShouldBeTrue(text);
        return JsonSerializer.Deserialize<Rollout>(text, QueueMaaSJson.Relaxed)!;
    }

    private async Task<Rollout> GetAsync(string model, string id) => (await service.Http.GetFromJsonAsync<Rollout>($"v1/models/{model}/rollouts/{id}", QueueMaaSJson.Relaxed, Cancel))!;

    private async Task<IReadOnlyList<ModelDecision>> DecisionsAsync(string model) => (await service.Http.GetFromJsonAsync<Page<ModelDecision>>($"v1/models/{model}/decisions", QueueMaaSJson.Relaxed, Cancel))!.Items;

    private async Task<IEnumerable<string>> AliasesAsync(string model) =>
        (await service.Http.GetFromJsonAsync<IReadOnlyList<ModelAlias>>($"v1/models/{model}/aliases", QueueMaaSJson.Relaxed, Cancel))!.Select(alias => $"{alias.Alias}={alias.Version}");

    /// <summary>Sends requests that name the model alone until the rollout has ended.</summary>
    private async Task<Rollout> DriveAsync(string model, string id)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        while (true)
        {
            await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => AskAsync(model)));
            if (await GetAsync(model, id) is { EndedAt: not null } ended)
                return ended;
            limit.Token.ThrowIfCancellationRequested();
        }
    }

    private async Task AskAsync(string model)
    {
        using var response = await service.Http.PostAsync($"v2/models/{model}/infer", Requests.Json(Infer), Cancel);
    }

    private async Task<Rollout> WaitAsync(string model, string id)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        while (true)
        {
            if (await GetAsync(model, id) is { EndedAt: not null } ended)
                return ended;
            await Task.Delay(50, limit.Token);
        }
    }

    /// <summary>Sends requests until one of them has been counted in the store: a worker asks only now and then what it is to count.</summary>
    private async Task WaitUntilCountedAsync(string model, string id)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        var before = await GetAsync(model, id);
        await AskAsync(model);
        while (true)
        {
            // Once the worker counts, a single request is enough; before that, none is counted.
            for (var looks = 0; looks < 20; looks++)
            {
                var now = await GetAsync(model, id);
                if (now.Served!.Requests + now.ServedByProduction!.Requests > before.Served!.Requests + before.ServedByProduction!.Requests)
                    return;
                await Task.Delay(50, limit.Token);
            }

            await AskAsync(model);
        }
    }
}
