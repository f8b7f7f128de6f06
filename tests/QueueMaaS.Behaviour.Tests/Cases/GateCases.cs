using System.Globalization;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using QueueMaaS.Behaviour.Tests.Setup;
using QueueMaaS.Client;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Deployment;
using DataType = QueueMaaS.Onnx.TensorProto.Types.DataType;

namespace QueueMaaS.Behaviour.Tests.Cases;

/// <summary>Gates: an alias moves only if what was declared holds, and the decision can be read for ever.</summary>
public abstract class GateCases(ServiceFixture service)
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_version_that_holds_every_condition_takes_the_alias_and_the_decision_is_kept_audited_and_told()
    {
        var (model, data) = await ThreeOffAsync();
        var path = Requests.NewId();
        await service.Http.PostAsJsonAsync("v1/webhook-endpoints", new { url = service.Webhooks.Url(path), events = new[] { "model.promoted" } }, Cancel);
        await service.Api.DeployAsync(model, "live", 2, Cancel);

        var job = await PromoteAsync($"{model}@1", "live", $$$$"""{"metrics":[{"metric":"accuracy","atLeast":0.9,"atMost":1,"dataset":"{{{{data}}}}"},{"metric":"recall:high","atLeast":1,"dataset":"{{{{data}}}}"},{"metric":"declared","atLeast":5}],"notWorse":{"dataset":"{{{{data}}}}"},"latency":{"p99Ms":10000,"batchSize":4,"runs":100}}""");

        var decision = Requests.Output<ModelDecision>(job);
        (decision.Outcome, decision.Version, decision.Before, decision.Alias, decision.By).ShouldBe((DecisionOutcome.Promoted, 1, 2, "live", $"job {job.Id}"));
        decision.Conditions.Count.ShouldBe(5);
        decision.Conditions.ShouldAllBe(condition => condition.Held);
        (decision.Conditions[0].Condition, decision.Conditions[0].Measured, decision.Conditions[0].Limit).ShouldBe(($"0.9 ≤ accuracy ≤ 1 on {data}@1 (all)", 1.0, 0.9));
        (decision.Conditions[2].Condition, decision.Conditions[2].Measured).ShouldBe(("declared ≥ 5", 7.0));
        (decision.Conditions[3].Measured!.Value, decision.Conditions[3].PValue!.Value).ShouldBe((0.03, 0.25), "it is right on three items more, by chance as likely as not");
        decision.Conditions[4].Measured!.Value.ShouldBeInRange(0.001, 10000);
        decision.Conditions[0].Report.ShouldNotBeNull();
        (await service.Api.GetModelAsync($"{model}@live", Cancel)).Version.ShouldBe(1);

        (await DecisionsAsync(model)).Single().Id.ShouldBe(decision.Id);
        var audit = await service.Http.GetFromJsonAsync<Page<AuditEntry>>("v1/audit?limit=200", QueueMaaSJson.Relaxed, Cancel);
        audit!.Items.ShouldContain(entry => entry.Action == "model.promote" && entry.Subject == $"{model}/live/1" && entry.Outcome == "done" && entry.Actor == $"job {job.Id}");
        var told = JsonElement.Parse((await service.Webhooks.NextAsync(path)).Body);
        (told.GetProperty("type").GetString(), told.GetProperty("data").GetProperty("id").GetString()).ShouldBe(("model.promoted", decision.Id));
    }

    [Fact]
    public async Task A_gate_that_does_not_hold_leaves_the_alias_alone_and_says_what_was_measured()
    {
        var (model, data) = await ThreeOffAsync();
        var job = await PromoteAsync($"{model}@2", "production", $$$$"""{"metrics":[{"metric":"accuracy","atLeast":0.98,"dataset":"{{{{data}}}}"},{"metric":"logLoss","atMost":100,"dataset":"{{{{data}}}}"}],"latency":{"p99Ms":0.0001,"runs":100}}""");

        var decision = Requests.Output<ModelDecision>(job);
        (decision.Outcome, decision.Before).ShouldBe((DecisionOutcome.Refused, 1));
        decision.Conditions.Select(condition => condition.Held).ShouldBe([false, true, false]);
        decision.Conditions[0].Measured!.Value.ShouldBe(0.97, 1e-12);
        decision.Reason.ShouldContain("2 of 3 conditions did not hold");
        (await service.Api.GetModelAsync(model, Cancel)).Version.ShouldBe(1);
        var audit = await service.Http.GetFromJsonAsync<Page<AuditEntry>>("v1/audit?limit=200", QueueMaaSJson.Relaxed, Cancel);
        audit!.Items.ShouldContain(entry => entry.Action == "model.promote" && entry.Subject == $"{model}/production/2" && entry.Outcome == "gate_not_held");
    }

    [Theory]
    [InlineData("figure", 0, false, "Version 2 is worse by 0.03 (accuracy), which the tolerance of 0 does not allow.")]
    [InlineData("figure", 0.05, true, "which the tolerance of 0.05 allows.")]
    [InlineData("significance", 0, true, "No real difference is shown")]
    [InlineData("interval", 0.02, false, "its lower end is not within the tolerance of 0.02. Version 2 is not shown to be as good as version 1.")]
    [InlineData("interval", 0.1, true, "all of it is within the tolerance of 0.1. Version 2 is held to be not worse than version 1.")]
    public async Task Not_worse_is_judged_by_the_figure_by_significance_or_by_the_interval(string judgement, double tolerance, bool held, string says)
    {
        var (model, data) = await ThreeOffAsync();
        var job = await PromoteAsync($"{model}@2", "production", $$$$"""{"notWorse":{"dataset":"{{{{data}}}}","tolerance":{{{{tolerance.ToString(CultureInfo.InvariantCulture)}}}},"judgement":"{{{{judgement}}}}"}}""");
        var decision = Requests.Output<ModelDecision>(job);
        decision.Conditions.Single().Measured!.Value.ShouldBe(-0.03, 1e-12);
        decision.Conditions[0].Interval!.Low.ShouldBeInRange(-0.09, -0.03);
        decision.Outcome.ShouldBe(held ? DecisionOutcome.Promoted : DecisionOutcome.Refused);
        decision.Conditions[0].Reason.ShouldContain(says);
        (await service.Api.GetModelAsync(model, Cancel)).Version.ShouldBe(held ? 2 : 1);
    }

    [Fact]
    public async Task An_alias_that_points_to_nothing_is_no_rival_and_a_model_that_does_not_fit_the_data_holds_no_condition()
    {
        var (model, data) = await ThreeOffAsync();
        var first = Requests.Output<ModelDecision>(await PromoteAsync($"{model}@2", "fresh", $$$$"""{"notWorse":{"dataset":"{{{{data}}}}"}}"""));
        (first.Outcome, first.Before).ShouldBe((DecisionOutcome.Promoted, null));

        // What its labels are is known only when they are read.
        var strange = await UploadDataAsync("a,b,truth\n1,2,low\n2,1,sideways\n");
        var refused = Requests.Output<ModelDecision>(await PromoteAsync($"{model}@2", "production", $$$$"""{"metrics":[{"metric":"accuracy","atLeast":0,"dataset":"{{{{strange}}}}"}]}"""));
        (refused.Outcome, refused.Conditions.Single().Held, refused.Conditions[0].Measured).ShouldBe((DecisionOutcome.Refused, false, null));
        refused.Conditions[0].Reason.ShouldContain("'sideways'");
    }

    [Fact]
    public async Task A_training_whose_gate_does_not_hold_succeeds_without_an_alias_and_the_next_that_holds_takes_it()
    {
        var model = Requests.NewId();
        var data = await UploadDataAsync(Rows(200));
        string Training(string gate) => $$$$"""{"kind":"training","id":"{{{{Requests.NewId()}}}}","input":{"model":"{{{{model}}}}","dataset":"{{{{data}}}}","epochs":1,"deploy":"production","gate":{{{{gate}}}}}}""";

        var trained = await SubmitAsync(Training("""{"metrics":[{"metric":"validationLoss","atMost":-1000}]}"""));
        var output = Requests.Output<TrainingOutput>(await service.Api.WaitAsync(trained.Id, Cancel));
        (output.Version, output.Alias, output.Promotion).ShouldBe((1, null, $"{trained.Id}:gate"));
        Requests.Output<ModelDecision>(await service.Api.WaitAsync(output.Promotion!, Cancel)).Outcome.ShouldBe(DecisionOutcome.Refused);
        (await service.Http.GetAsync($"v1/models/{model}", Cancel)).StatusCode.ShouldBe(System.Net.HttpStatusCode.NotFound, "a gate holds for the first version, too");

        var second = await SubmitAsync(Training($$$$"""{"metrics":[{"metric":"validationAccuracy","atLeast":0},{"metric":"accuracy","atLeast":0,"dataset":"{{{{data}}}}"}],"notWorse":{"dataset":"{{{{data}}}}"},"latency":{"p99Ms":60000}}"""));
        output = Requests.Output<TrainingOutput>(await service.Api.WaitAsync(second.Id, Cancel));
        var decision = Requests.Output<ModelDecision>(await service.Api.WaitAsync(output.Promotion!, Cancel));
        (decision.Outcome, decision.Version).ShouldBe((DecisionOutcome.Promoted, 2));
        (await service.Api.GetModelAsync(model, Cancel)).Version.ShouldBe(2);
        (await DecisionsAsync(model)).Select(d => d.Outcome).ShouldBe([DecisionOutcome.Promoted, DecisionOutcome.Refused]);
    }

    [Fact]
    public async Task Production_moves_neither_by_a_gate_nor_by_a_training_to_where_a_canary_with_a_share_could_not_follow()
    {
        var model = Requests.NewId();
        await UploadModelAsync(model, TestModels.Identity(DataType.Float, 2), Pipeline(0));
        await UploadModelAsync(model, TestModels.Identity(DataType.Float, 2), Pipeline(0.2));
        using (var upload = await service.Http.PutAsync($"v1/models/{model}", new ByteArrayContent(TestModels.Zeros(4)), Cancel))
            upload.IsSuccessStatusCode.ShouldBeTrue();
        using (var canary = await service.Http.PutAsync($"v1/models/{model}/aliases/canary", Requests.Json("""{"version":2,"share":0.25}"""), Cancel))
            canary.IsSuccessStatusCode.ShouldBeTrue();

        var decision = Requests.Output<ModelDecision>(await PromoteAsync($"{model}@3", "production", """{"latency":{"p99Ms":60000}}"""));
        decision.Outcome.ShouldBe(DecisionOutcome.Refused);
        decision.Conditions.Select(static condition => condition.Held).ShouldBe([true, false]);
        decision.Conditions[1].Reason.ShouldContain("`canary` has 0.25 of the traffic");

        var data = await UploadDataAsync("a,b,c,truth\n" + string.Concat(Enumerable.Range(0, 60).Select(static i => $"{i},{i % 7},{i % 3},{(i % 2 == 0 ? "low" : "high")}\n")));
        var trained = await SubmitAsync($$$$"""{"kind":"training","input":{"model":"{{{{model}}}}","dataset":"{{{{data}}}}","epochs":1,"deploy":"production"}}""");
        var output = Requests.Output<TrainingOutput>(await service.Api.WaitAsync(trained.Id, Cancel));
        (output.Version, output.Alias, output.DeployRefused?.Code).ShouldBe((4, null, ProblemCodes.CanaryConflict), "what was trained is not lost");
        (await service.Api.GetModelAsync($"{model}@production", Cancel)).Version.ShouldBe(1);
    }

    [Fact]
    public async Task Of_a_sweep_the_best_model_alone_comes_before_the_gate()
    {
        var data = await UploadDataAsync(Rows(120));
        var name = Requests.NewId();
        var job = await SubmitAsync($$$$"""{"kind":"sweep","input":{"training":{"dataset":"{{{{data}}}}","epochs":1,"deploy":"production","gate":{"metrics":[{"metric":"validationAccuracy","atLeast":0}]}},"search":{"method":"grid","space":{"learningRate":{"values":[0.001,0.01]}}},"register":"{{{{name}}}}"}}""");
        var output = Requests.Output<SweepOutput>(await service.Api.WaitAsync(job.Id, Cancel));
        (output.Alias, output.Promotion).ShouldBe((null, $"{job.Id}:best:gate"));
        Requests.Output<ModelDecision>(await service.Api.WaitAsync(output.Promotion!, Cancel)).Outcome.ShouldBe(DecisionOutcome.Promoted);
        (await DecisionsAsync(name)).Count.ShouldBe(1);
    }

    [Fact]
    public async Task A_condition_that_is_unknown_or_can_never_hold_is_refused_when_it_is_handed_in()
    {
        var (model, data) = await ThreeOffAsync();
        var single = Requests.NewId();
        await UploadModelAsync(single, TestModels.Constant([1, 2], [1, 2], [1, 2]), """{"labels":["low","high"]}""");
        foreach (var (gate, code) in new (string, string)[]
        {
            ("{}", ProblemCodes.GateInvalid),
            ("""{"metrics":[]}""", ProblemCodes.GateInvalid),
            ("""{"speed":1}""", ProblemCodes.UnknownField),
            ("""{"metrics":[{"metric":"accuracy","atLeast":0.5}]}""", ProblemCodes.MetricUnknown),
            ($$$$"""{"metrics":[{"metric":"niceness","atLeast":0.5,"dataset":"{{{{data}}}}"}]}""", ProblemCodes.MetricUnknown),
            ($$$$"""{"metrics":[{"metric":"mae","atMost":0.5,"dataset":"{{{{data}}}}"}]}""", ProblemCodes.MetricUnknown),
            ($$$$"""{"metrics":[{"metric":"recall:cat","atLeast":0.5,"dataset":"{{{{data}}}}"}]}""", ProblemCodes.MetricUnknown),
            ($$$$"""{"metrics":[{"metric":"top5Accuracy","atLeast":0.5,"dataset":"{{{{data}}}}"}]}""", ProblemCodes.MetricUnknown),
            ($$$$"""{"metrics":[{"metric":"accuracy","dataset":"{{{{data}}}}"}]}""", ProblemCodes.GateInvalid),
            ($$$$"""{"metrics":[{"metric":"accuracy","atLeast":1.1,"dataset":"{{{{data}}}}"}]}""", ProblemCodes.GateInvalid),
            ($$$$"""{"metrics":[{"metric":"logLoss","atMost":-1,"dataset":"{{{{data}}}}"}]}""", ProblemCodes.GateInvalid),
            ($$$$"""{"metrics":[{"metric":"accuracy","atLeast":0.8,"atMost":0.7,"dataset":"{{{{data}}}}"}]}""", ProblemCodes.GateInvalid),
            ("""{"metrics":[{"metric":"accuracy","atLeast":0.5,"dataset":"nowhere"}]}""", ProblemCodes.DatasetNotFound),
            ($$$$"""{"metrics":[{"metric":"accuracy","atLeast":0.5,"dataset":"{{{{data}}}}","split":"test"}]}""", ProblemCodes.DatasetEmpty),
            ($$$$"""{"metrics":[{"metric":"accuracy","atLeast":0.5,"dataset":"{{{{data}}}}","target":"planet"}]}""", ProblemCodes.ColumnNotFound),
            ($$$$"""{"notWorse":{"dataset":"{{{{data}}}}","tolerance":-1}}""", ProblemCodes.GateInvalid),
            ($$$$"""{"notWorse":{"dataset":"{{{{data}}}}","judgement":"coin"}}""", ProblemCodes.InvalidValue),
            ("""{"latency":{"p99Ms":0}}""", ProblemCodes.GateInvalid),
            // What no double can hold.
            ("""{"latency":{"p99Ms":1e400}}""", ProblemCodes.GateInvalid),
            ("""{"metrics":[{"metric":"validationLoss","atLeast":1e400}]}""", ProblemCodes.GateInvalid),
            ("""{"metrics":[{"metric":"validationLoss","atMost":-1e400}]}""", ProblemCodes.GateInvalid),
            ("""{"metrics":[null]}""", ProblemCodes.GateInvalid),
            ($$$$"""{"notWorse":{"dataset":"{{{{data}}}}","tolerance":1e400}}""", ProblemCodes.GateInvalid),
            ("""{"latency":{"p99Ms":5,"runs":3}}""", ProblemCodes.GateInvalid),
            ("""{"latency":{"p99Ms":5,"batchSize":5000}}""", ProblemCodes.GateInvalid),
        })
        {
            using var response = await service.Http.PostAsync($"v1/models/{model}@2/promote", Requests.Json($$$$"""{"gate":{{{{gate}}}}}"""), Cancel);
            (await Requests.ProblemAsync(response)).Code.ShouldBe(code, gate);
        }

        using (var fixedAxis = await service.Http.PostAsync($"v1/models/{single}/promote", Requests.Json("""{"gate":{"latency":{"p99Ms":5,"batchSize":2}}}"""), Cancel))
            (await Requests.ProblemAsync(fixedAxis)).Code.ShouldBe(ProblemCodes.GateInvalid);
        using (var nowhere = await service.Http.PostAsync($"v1/jobs", Requests.Json($$$$"""{"kind":"training","input":{"model":"x","dataset":"{{{{data}}}}","gate":{"latency":{"p99Ms":5} } } }"""), Cancel))
            (await Requests.ProblemAsync(nowhere)).Detail.ShouldContain("no `deploy`");
        using (var unknown = await service.Http.PostAsync($"v1/jobs", Requests.Json($$$$"""{"kind":"training","input":{"model":"x","dataset":"{{{{data}}}}","deploy":"production","gate":{"metrics":[{"metric":"validationR7","atLeast":0.5}]}}}"""), Cancel))
            (await Requests.ProblemAsync(unknown)).Code.ShouldBe(ProblemCodes.MetricUnknown);
        (await DecisionsAsync(model)).ShouldBeEmpty();
    }

    [Fact]
    public async Task A_decision_is_made_once_and_only_while_the_alias_points_where_it_was_seen()
    {
        var (model, _) = await ThreeOffAsync();
        var deployments = service.Services.GetRequiredService<IDeploymentStore>();
        var decision = new NewDecision { Cause = Requests.NewId(), Model = model, Version = 2, Alias = "production", Outcome = DecisionOutcome.Promoted, By = "test", Reason = "test", Moves = [new("production", 2)], Expected = 1 };

        (await deployments.DecideAsync("default", decision with { Cause = Requests.NewId(), Expected = 2 }, Cancel)).ShouldBeNull("it points to 1");
        var made = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => deployments.DecideAsync("default", decision, Cancel)));
        made.Select(one => one!.Id).Distinct().Count().ShouldBe(1);
        (await DecisionsAsync(model)).Count.ShouldBe(1);
        (await service.Api.GetModelAsync(model, Cancel)).Version.ShouldBe(2);
    }

    [Fact]
    public async Task An_id_that_is_used_again_after_its_job_was_deleted_is_another_job()
    {
        var (id, model, other) = (Requests.NewId(), Requests.NewId(), Requests.NewId());
        var data = await UploadDataAsync(Rows(120));
        string Training(string name, int epochs, string least) => $$$$"""{"kind":"training","id":"{{{{id}}}}","input":{"model":"{{{{name}}}}","dataset":"{{{{data}}}}","epochs":{{{{epochs}}}},"deploy":"production","gate":{"metrics":[{"metric":"validationAccuracy","atLeast":{{{{least}}}}}]}}}""";
        async Task<(TrainingOutput Trained, ModelDecision Decision)> RunAsync(string training)
        {
            var trained = Requests.Output<TrainingOutput>(await service.Api.WaitAsync((await SubmitAsync(training)).Id, Cancel));
            var decision = Requests.Output<ModelDecision>(await service.Api.WaitAsync(trained.Promotion!, Cancel));
            await DeleteAsync(id);
            return (trained, decision);
        }

        var first = await RunAsync(Training(model, 1, "0"));
        var second = await RunAsync(Training(model, 3, "0"));
        var third = await RunAsync(Training(other, 1, "0"));
        (first.Trained.Version, second.Trained.Version, third.Trained.Version).ShouldBe((1, 2, 1));
        second.Trained.OnnxArtifact.ShouldNotBe(first.Trained.OnnxArtifact);
        (await service.Api.GetModelAsync($"{model}@2", Cancel)).Artifact.ShouldBe(second.Trained.OnnxArtifact);
        (await service.Api.GetModelAsync($"{other}@1", Cancel)).TrainedBy.ShouldBe(id);
        (second.Decision.Version, third.Decision.Model).ShouldBe((2, other));

        // A promotion of the same id, asked for another version.
        var (promoted, _) = await ThreeOffAsync();
        async Task<ModelDecision> DecideAsync(int version)
        {
            var job = await SubmitAsync($$$$"""{"kind":"promotion","id":"{{{{id}}}}","input":{"model":"{{{{promoted}}}}@{{{{version}}}}","alias":"live","gate":{"latency":{"p99Ms":60000} } } }""");
            var decision = Requests.Output<ModelDecision>(await service.Api.WaitAsync(job.Id, Cancel));
            await DeleteAsync(id);
            return decision;
        }

        ((await DecideAsync(1)).Version, (await DecideAsync(2)).Version).ShouldBe((1, 2));
        (await DecisionsAsync(promoted)).Count.ShouldBe(2);
    }

    [Fact]
    public async Task A_sweep_goes_with_all_that_it_made_and_its_id_can_be_used_again()
    {
        var (id, name) = (Requests.NewId(), Requests.NewId());
        var data = await UploadDataAsync(Rows(120));
        for (var version = 1; version <= 2; version++)
        {
            await SubmitAsync($$$$"""{"kind":"sweep","id":"{{{{id}}}}","input":{"training":{"dataset":"{{{{data}}}}","epochs":{{{{version}}}},"deploy":"production","gate":{"metrics":[{"metric":"validationAccuracy","atLeast":0}]}},"search":{"method":"grid","space":{"learningRate":{"values":[0.001,0.01]}}},"register":"{{{{name}}}}"}}""");
            var output = Requests.Output<SweepOutput>(await service.Api.WaitAsync(id, Cancel));
            output.Version.ShouldBe(version);
            Requests.Output<ModelDecision>(await service.Api.WaitAsync(output.Promotion!, Cancel)).Version.ShouldBe(version);
            await DeleteAsync(id);
            (await service.Http.GetAsync($"v1/jobs/{output.Promotion}", Cancel)).StatusCode.ShouldBe(System.Net.HttpStatusCode.NotFound, "a gate is a child of a child");
        }
    }

    [Fact]
    public async Task A_version_that_cannot_compute_some_rows_is_not_promoted_whatever_it_says_of_the_others()
    {
        var model = Requests.NewId();
        await UploadModelAsync(model, TestModels.Identity(DataType.Float, 2), Pipeline(0));
        await UploadModelAsync(model, TestModels.SquareRoot(), Pipeline(0));
        // The root of every fourth row is no number. Both are right on all others.
        var data = await UploadDataAsync("a,b,truth\n" + string.Concat(Enumerable.Range(0, 80).Select(static i => i % 4 == 0 ? "-2,-1,high\n" : i % 2 == 0 ? "1,2,high\n" : "2,1,low\n")));
        var gate = $$$$"""{"metrics":[{"metric":"accuracy","atLeast":0.88,"dataset":"{{{{data}}}}"}],"notWorse":{"dataset":"{{{{data}}}}","judgement":"interval"}}""";

        var refused = Requests.Output<ModelDecision>(await PromoteAsync($"{model}@2", "production", gate));
        refused.Outcome.ShouldBe(DecisionOutcome.Refused);
        refused.Conditions.Select(static condition => condition.Held).ShouldBe([false, false]);
        refused.Conditions.ShouldAllBe(condition => condition.Reason.StartsWith($"`{model}@2` could not compute 20 of 80 items, so the condition does not hold. The first: "));
        refused.Conditions[0].Reason.ShouldContain("over 60 items");

        // The other way round the new version is the better one, though nothing can be compared on those rows.
        await service.Api.DeployAsync(model, "live", 2, Cancel);
        var promoted = Requests.Output<ModelDecision>(await PromoteAsync($"{model}@1", "live", gate));
        promoted.Outcome.ShouldBe(DecisionOutcome.Promoted, promoted.Reason);
        promoted.Conditions[1].Reason.ShouldEndWith($"20 items that `{model}@2` could not compute are left out, too.");
    }

    [Fact]
    public async Task A_training_whose_gates_id_is_another_jobs_fails_before_it_trains_and_says_which()
    {
        var (id, model) = (Requests.NewId(), Requests.NewId());
        var data = await UploadDataAsync(Rows(120));
        await service.Api.WaitAsync((await service.Api.SubmitAsync(Requests.Double(1, 2) with { Id = $"{id}:gate" }, cancellationToken: Cancel)).Id, Cancel);
        await SubmitAsync($$$$"""{"kind":"training","id":"{{{{id}}}}","input":{"model":"{{{{model}}}}","dataset":"{{{{data}}}}","epochs":1,"deploy":"production","gate":{"metrics":[{"metric":"validationAccuracy","atLeast":0}]}}}""");
        var failed = await service.Api.WaitAsync(id, Cancel);
        (failed.State, failed.Error!.Code, failed.Error.Details!["jobId"].GetString()).ShouldBe((JobState.Failed, ProblemCodes.ChildIdTaken, $"{id}:gate"));
        (await service.Http.GetAsync($"v1/models/{model}@1", Cancel)).StatusCode.ShouldBe(System.Net.HttpStatusCode.NotFound);

        // As the error says.
        await DeleteAsync($"{id}:gate");
        using (var requeued = await service.Http.PostAsync($"v1/jobs/{id}/requeue", null, Cancel))
            requeued.IsSuccessStatusCode.ShouldBeTrue();
        var trained = Requests.Output<TrainingOutput>(await service.Api.WaitAsync(id, Cancel));
        Requests.Output<ModelDecision>(await service.Api.WaitAsync(trained.Promotion!, Cancel)).Outcome.ShouldBe(DecisionOutcome.Promoted);
    }

    private async Task DeleteAsync(string id)
    {
        using var deleted = await service.Http.DeleteAsync($"v1/jobs/{id}", Cancel);
        deleted.StatusCode.ShouldBe(System.Net.HttpStatusCode.NoContent);
    }

    /// <summary>Two versions, and a data set of a hundred rows that the first knows all of and the second three fewer.</summary>
    private async Task<(string Model, string Data)> ThreeOffAsync()
    {
        var model = Requests.NewId();
        await UploadModelAsync(model, TestModels.Identity(DataType.Float, 2), Pipeline(0));
        await UploadModelAsync(model, TestModels.Identity(DataType.Float, 2), Pipeline(0.2));
        return (model, await UploadDataAsync(Rows(100)));
    }

    private static string Pipeline(double shift) =>
        $$$$"""{"table":{"columns":[{"name":"a","kind":"number"},{"name":"b","kind":"number","mean":{{{{shift.ToString(CultureInfo.InvariantCulture)}}}}}]},"labels":["low","high"]}""";

    private static string Rows(int count)
    {
        var csv = new StringBuilder("a,b,truth\n");
        for (var i = 0; i < count; i++)
        {
            var (a, high) = (i * 0.1, i is < 3 || i % 2 == 0);
            csv.Append(CultureInfo.InvariantCulture, $"{a},{a + (i < 3 ? 0.1 : high ? 1 : -1)},{(high ? "high" : "low")}\n");
        }

        return csv.ToString();
    }

    private async Task<IReadOnlyList<ModelDecision>> DecisionsAsync(string model) => (await service.Http.GetFromJsonAsync<Page<ModelDecision>>($"v1/models/{model}/decisions", QueueMaaSJson.Relaxed, Cancel))!.Items;

    private async Task<Job> PromoteAsync(string reference, string alias, string gate)
    {
        using var response = await service.Http.PostAsync($"v1/models/{reference}/promote", Requests.Json($$$$"""{"alias":"{{{{alias}}}}","gate":{{{{gate}}}}}"""), Cancel);
        response.IsSuccessStatusCode.ShouldBeTrue(await response.Content.ReadAsStringAsync(Cancel));
        var job = JsonSerializer.Deserialize<Job>(await response.Content.ReadAsStringAsync(Cancel), QueueMaaSJson.Relaxed)!;
        return await service.Api.WaitAsync(job.Id, Cancel);
    }

    private async Task<Job> SubmitAsync(string body)
    {
        using var response = await service.Http.PostAsync("v1/jobs", Requests.Json(body), Cancel);
        response.IsSuccessStatusCode.ShouldBeTrue(await response.Content.ReadAsStringAsync(Cancel));
        return JsonSerializer.Deserialize<Job>(await response.Content.ReadAsStringAsync(Cancel), QueueMaaSJson.Relaxed)!;
    }

    private async Task<string> UploadDataAsync(string csv)
    {
        var name = Requests.NewId();
        using var response = await service.Http.PutAsync($"v1/datasets/{name}", new ByteArrayContent(Encoding.UTF8.GetBytes(csv)), Cancel);
        response.IsSuccessStatusCode.ShouldBeTrue(await response.Content.ReadAsStringAsync(Cancel));
        return name;
    }

    private async Task UploadModelAsync(string name, byte[] model, string pipeline)
    {
        using var form = new MultipartFormDataContent { { new ByteArrayContent(model), "model", "model.onnx" }, { new StringContent(pipeline), "pipeline" }, { new StringContent("""{"metrics":{"declared":7}}"""), "card" } };
        using var response = await service.Http.PutAsync($"v1/models/{name}", form, Cancel);
        response.IsSuccessStatusCode.ShouldBeTrue(await response.Content.ReadAsStringAsync(Cancel));
    }
}
