using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using QueueMaaS.Behaviour.Tests.Setup;
using QueueMaaS.Client;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Life;

namespace QueueMaaS.Behaviour.Tests.Cases;

/// <summary>Sweeps as users meet them: trials, leaderboard, the registered model, failures, pauses, refusals.</summary>
public abstract class SweepCases(ServiceFixture service)
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_grid_is_tried_and_its_best_model_is_registered_with_where_it_comes_from()
    {
        await UploadAsync("sweep-grid");
        var job = await SubmitAsync("""{"training":{"dataset":"sweep-grid","epochs":3,"deploy":"champion"},"search":{"method":"grid","space":{"learningRate":{"logUniform":[0.0001,0.01],"points":3},"batchSize":{"values":[16,64]}}},"register":"grid-best"}""");
        var output = Requests.Output<SweepOutput>(await service.Api.WaitAsync(job.Id, Cancel));
        (output.Trials, output.Failed, output.Metric, output.Model, output.Version, output.Alias).ShouldBe((6, 0, "validationAccuracy", "grid-best", 1, "champion"));

        var board = await LeaderboardAsync(job.Id);
        board.Trials.Select(t => t.Trial).Order().ShouldBe([1, 2, 3, 4, 5, 6]);
        board.Trials.Select(t => t.Rank).ShouldBe([1, 2, 3, 4, 5, 6]);
        board.Trials.Select(t => t.Metric!.Value).ShouldBeInOrder(SortDirection.Descending);
        board.Trials[0].Parameters["learningRate"].GetDouble().ShouldBe(output.Best.Parameters["learningRate"].GetDouble());
        (await LeaderboardAsync(job.Id, "?limit=2&offset=1")).Trials.Select(t => t.Rank).ShouldBe([2, 3]);

        var trail = (await service.Http.GetFromJsonAsync<Page<AuditEntry>>("v1/audit?limit=200", QueueMaaSJson.Relaxed, Cancel))!.Items.Where(entry => entry.Actor == $"job {job.Id}:best");
        // A first version becomes production, too.
        trail.Select(static entry => $"{entry.Action} {entry.Subject} {entry.Outcome}").Order(StringComparer.Ordinal).ShouldBe(
            ["model.deploy grid-best/champion/1 done", "model.deploy grid-best/production/1 done", "model.register grid-best/1 done"]);

        var version = await service.Api.GetModelAsync("grid-best@champion", Cancel);
        version.TrainedBy.ShouldBe($"{job.Id}:best");
        var parameters = version.Card!.Parameters!.Value;
        parameters.GetProperty("trial").GetProperty("sweep").GetString().ShouldBe(job.Id);
        parameters.GetProperty("trial").GetProperty("number").GetInt32().ShouldBe(output.Best.Trial);
        parameters.GetProperty("dataset").GetString().ShouldBe("sweep-grid@1");
        version.Metrics!["validationAccuracy"].ShouldBe(output.Best.Metric!.Value, "what was exported is what was measured");
        var asked = await service.Api.SubmitAsync(QueueMaaSClient.Inference(new InferenceInput { Model = "grid-best", Row = JsonElement.Parse("""{"x":3,"colour":"red"}""") }), cancellationToken: Cancel);
        Requests.Output<InferenceOutput>(await service.Api.WaitAsync(asked.Id, Cancel)).Labels!.Count.ShouldBe(1);

        // A trial is a training like any other: it has figures.
        var trial = await service.Api.GetAsync(board.Trials[^1].Job!, Cancel);
        (trial.Kind, trial.State).ShouldBe((JobKind.Training, JobState.Succeeded));
        (await service.Http.GetFromJsonAsync<JsonElement>($"v1/jobs/{trial.Id}/metrics", Cancel)).GetProperty("epochs").GetArrayLength().ShouldBe(3);
    }

    [Theory]
    [InlineData("grid", "\"space\":{\"learningRate\":{\"logUniform\":[0.0001,0.01],\"points\":3}}")]
    [InlineData("asha", "\"trials\":4,\"seed\":2,\"space\":{\"learningRate\":{\"logUniform\":[0.0001,0.05]}}")]
    public async Task Checkpoints_of_all_but_the_best_trial_go_when_the_sweep_has_succeeded(string method, string search)
    {
        await UploadAsync($"sweep-losers-{method}");
        var job = await SubmitAsync($$$"""{"training":{"dataset":"sweep-losers-{{{method}}}","epochs":3},"search":{"method":"{{{method}}}",{{{search}}}},"register":"losers-{{{method}}}"}""");
        var output = Requests.Output<SweepOutput>(await service.Api.WaitAsync(job.Id, Cancel));
        var best = output.Best.Job!;
        foreach (var trial in (await LeaderboardAsync(job.Id)).Trials.Where(t => t.Job is not null && t.Trial != output.Best.Trial))
        {
            (await CheckpointsAsync(trial.Job!)).ShouldBeEmpty(trial.Job);
            var stored = (await HistoryAsync(trial.Job!)).Where(e => e.Type == "checkpoint").Select(e => e.Data!.Value.Deserialize<TrainingCheckpoint>(QueueMaaSJson.Relaxed)!).ToList();
            stored.ShouldNotBeEmpty();
            foreach (var checkpoint in stored)
                (await service.Http.GetAsync($"v1/artifacts/{checkpoint.Artifact}", Cancel)).StatusCode.ShouldBe(System.Net.HttpStatusCode.NotFound);
            var removed = (await HistoryAsync(trial.Job!)).Single(e => e.Type == "checkpointsRemoved").Data!.Value;
            removed.GetProperty("reason").GetString()!.ShouldContain($"Trial {output.Best.Trial}");
            using var registering = await service.Http.PostAsync($"v1/jobs/{trial.Job}/checkpoints/{stored[^1].Id}/register", Requests.Json("{}"), Cancel);
            (await Requests.ProblemAsync(registering)).Code.ShouldBe(ProblemCodes.CheckpointNotFound);
        }

        // Who no longer leads the sweep cannot say of a trial that its checkpoints are gone.
        var report = new JobReport("checkpointsRemoved", """{"ids":["epoch-3"],"reason":"none"}""", Announce: false);
        (await service.Jobs.RecordOnChildrenAsync(new JobClaim(job.Id, 1), new Dictionary<string, JobReport> { [best] = report }, Cancel)).ShouldBeFalse();
        var kept = (await CheckpointsAsync(best)).ShouldHaveSingleItem();
        (await service.Http.GetAsync($"v1/artifacts/{kept.Artifact}", Cancel)).IsSuccessStatusCode.ShouldBeTrue();
        using var again = await service.Http.PostAsync($"v1/jobs/{best}/checkpoints/{kept.Id}/register", Requests.Json($$"""{"model":"losers-again-{{method}}"}"""), Cancel);
        again.IsSuccessStatusCode.ShouldBeTrue(await again.Content.ReadAsStringAsync(Cancel));
    }

    [Fact]
    public async Task Checkpoints_stay_where_the_sweep_says_so_or_fails_and_may_be_requeued()
    {
        await UploadAsync("sweep-keepers");
        const string Space = """{"network":{"values":[[{"type":"linear"}],[{"type":"linear","out":7}],[{"type":"linear","out":2}]]}}""";
        var keeping = await SubmitAsync($$"""{"training":{"dataset":"sweep-keepers","epochs":2},"search":{"method":"grid","space":{{Space}}},"keepCheckpoints":true,"register":"keepers"}""");
        Requests.Output<SweepOutput>(await service.Api.WaitAsync(keeping.Id, Cancel));
        foreach (var trial in (await LeaderboardAsync(keeping.Id)).Trials.Where(t => t.Metric is not null))
            (await CheckpointsAsync(trial.Job!)).Select(c => c.Id).ShouldBe(["epoch-2"]);

        // A failed sweep keeps them; when it is requeued, what has been trained is not trained again.
        var failing = await SubmitAsync($$"""{"training":{"dataset":"sweep-keepers","epochs":2},"search":{"method":"grid","space":{{Space}}},"maxFailedShare":0.1,"concurrency":1,"register":"keepers"}""");
        (await service.Api.WaitAsync(failing.Id, Cancel)).State.ShouldBe(JobState.Failed);
        (await CheckpointsAsync($"{failing.Id}:trial-0001")).Select(c => c.Id).ShouldBe(["epoch-2"]);
        using (var requeued = await service.Http.PostAsync($"v1/jobs/{failing.Id}/requeue", null, Cancel))
            requeued.IsSuccessStatusCode.ShouldBeTrue();
        (await service.Api.WaitAsync(failing.Id, Cancel)).State.ShouldBe(JobState.Failed);
        (await CheckpointsAsync($"{failing.Id}:trial-0001")).Select(c => c.Id).ShouldBe(["epoch-2"]);

        // A single trial of a sweep that has ended is not trained for nobody: it says so, and the best one's state stays.
        var succeeded = await SubmitAsync($$"""{"training":{"dataset":"sweep-keepers","epochs":2},"search":{"method":"grid","space":{{Space}}},"register":"keepers"}""");
        var best = Requests.Output<SweepOutput>(await service.Api.WaitAsync(succeeded.Id, Cancel)).Best.Trial;
        var trial2 = $"{succeeded.Id}:trial-0002";
        using (var retried = await service.Http.PostAsync($"v1/jobs/{trial2}/requeue", null, Cancel))
            retried.IsSuccessStatusCode.ShouldBeTrue();
        var error = (await service.Api.WaitAsync(trial2, Cancel)).Error!;
        (error.Code, error.Message).ShouldBe((ProblemCodes.DependencyFailed, $"The sweep `{succeeded.Id}` that this trial belongs to has ended."));
        (await service.Api.GetAsync(succeeded.Id, Cancel)).State.ShouldBe(JobState.Succeeded);
        (await CheckpointsAsync($"{succeeded.Id}:trial-{best:0000}")).ShouldNotBeEmpty();
    }

    [Fact]
    public async Task A_random_sweep_over_the_bus_ends_the_same_for_the_same_seed()
    {
        await UploadAsync("sweep-random");
        const string Input = """{"training":{"dataset":"sweep-random","epochs":2},"search":{"method":"random","trials":5,"seed":4,"space":{"learningRate":{"logUniform":[0.0005,0.05]},"optimizer":{"values":["adam","sgd"]}}},"metric":"validationLoss","register":"random-best"}""";
        var ids = new List<string>();
        foreach (var _ in Enumerable.Range(0, 2))
            ids.Add(await service.Bus.SubmitAsync(new JobSubmission { Id = Requests.NewId(), Kind = JobKind.Sweep, Input = JsonElement.Parse(Input) }, Cancel));
        var (first, second) = (Requests.Output<SweepOutput>(await service.WaitForBusJobAsync(ids[0])), Requests.Output<SweepOutput>(await service.WaitForBusJobAsync(ids[1])));
        first.Leaderboard.Select(t => t.Metric!.Value).ShouldBeInOrder(SortDirection.Ascending);
        Shown(first.Leaderboard).ShouldBe(Shown(second.Leaderboard));
        var (one, two) = (await service.Api.GetModelAsync($"random-best@{first.Version}", Cancel), await service.Api.GetModelAsync($"random-best@{second.Version}", Cancel));
        one.Card!.Weights.ShouldNotBeNull();
        (one.Metrics!["validationLoss"], one.Metrics["validationAccuracy"]).ShouldBe((two.Metrics!["validationLoss"], two.Metrics["validationAccuracy"]));
    }

    [Fact]
    public async Task Asha_takes_the_best_on_from_their_checkpoints_and_records_each_decision()
    {
        await UploadAsync("sweep-asha");
        var job = await SubmitAsync("""{"training":{"model":"asha-best","dataset":"sweep-asha","epochs":9,"batchSize":32,"schedule":{"kind":"cosine"}},"search":{"method":"asha","trials":9,"seed":2,"space":{"learningRate":{"logUniform":[0.0001,0.05]}}}}""");
        var output = Requests.Output<SweepOutput>(await service.Api.WaitAsync(job.Id, Cancel));
        (output.Best.Rung, output.Best.Epochs).ShouldBe((2, 9));
        var decisions = (await HistoryAsync(job.Id)).Where(e => e.Type == "decision").Select(e => e.Data!.Value.Deserialize<SweepDecision>(QueueMaaSJson.Relaxed)!).ToList();
        decisions.Select(d => d.Step).ShouldBe(Enumerable.Range(1, decisions.Count));
        decisions.Count(d => d.Action == "start").ShouldBe(9);
        var promotion = decisions.First(d => d.Action == "promote");
        promotion.Reason.ShouldContain("among the best");

        // The promoted trial went on: its later job has the earlier one's epochs in its history, and trained only those after them.
        var rung = await service.Api.GetAsync($"{job.Id}:trial-{promotion.Trial:0000}.1", Cancel);
        var (lower, upper) = (Requests.Output<TrialOutput>(await service.Api.GetAsync($"{job.Id}:trial-{promotion.Trial:0000}", Cancel)), Requests.Output<TrialOutput>(rung));
        lower.History.Count.ShouldBe(1);
        upper.History.Select(e => e.Epoch).ShouldBe([1, 2, 3]);
        upper.History[0].Loss.ShouldBe(lower.History[0].Loss);
        (await HistoryAsync(rung.Id)).Count(e => e.Type == "metrics").ShouldBe(2, "epochs 2 and 3");

        // In rungs or at one go, the best trial has the same figures.
        var alone = output.Training.Deserialize<TrainingInput>(QueueMaaSJson.Relaxed)! with { Model = "asha-alone" };
        var trained = Requests.Output<TrainingOutput>(await service.Api.WaitAsync((await service.Api.SubmitAsync(QueueMaaSClient.Training(alone), cancellationToken: Cancel)).Id, Cancel));
        trained.History.Select(e => e.Loss).ShouldBe(Requests.Output<TrialOutput>(await service.Api.GetAsync(output.Best.Job!, Cancel)).History.Select(e => e.Loss));
        trained.WeightsArtifact.ShouldNotBeNull();
        trained.ValidationAccuracy.ShouldBe(output.Best.Metrics!["validationAccuracy"]);
    }

    [Fact]
    public async Task Trials_of_asha_that_stop_early_are_promoted_and_registered_as_they_are()
    {
        await UploadAsync("sweep-stopped");
        // Nothing is ever better by so much, so each trial stops after its second epoch.
        var job = await SubmitAsync("""{"training":{"model":"stopped-best","dataset":"sweep-stopped","epochs":9,"stopping":{"patience":1,"leastGain":1000}},"search":{"method":"asha","trials":6,"space":{"learningRate":{"logUniform":[0.001,0.01]}}}}""");
        var output = Requests.Output<SweepOutput>(await service.Api.WaitAsync(job.Id, Cancel));
        (output.Best.Rung, output.Best.Epochs).ShouldBe((2, 2));
        (await service.Api.GetModelAsync("stopped-best", Cancel)).Metrics!["validationAccuracy"].ShouldBe(output.Best.Metric!.Value);
    }

    [Fact]
    public async Task A_sweep_goes_on_past_failed_trials_up_to_the_stated_share_and_can_be_requeued()
    {
        await UploadAsync("sweep-failing");
        // For a table it shows only in the training that a head of seven outputs does not fit two classes.
        const string Space = """{"network":{"values":[[{"type":"linear"}],[{"type":"linear","out":7}],[{"type":"linear","out":2}]]}}""";
        var allowed = await SubmitAsync($$"""{"training":{"dataset":"sweep-failing","epochs":1},"search":{"method":"grid","space":{{Space}}},"register":"survivor"}""");
        var output = Requests.Output<SweepOutput>(await service.Api.WaitAsync(allowed.Id, Cancel));
        (output.Trials, output.Failed, output.Leaderboard.Count).ShouldBe((3, 1, 2));
        var failed = (await LeaderboardAsync(allowed.Id)).Trials[^1];
        (failed.Trial, failed.State, failed.Rank, failed.Error!.Code).ShouldBe((2, JobState.Failed, null, "specification_invalid"));

        var refused = await SubmitAsync($$"""{"training":{"dataset":"sweep-failing","epochs":1},"search":{"method":"grid","space":{{Space}}},"maxFailedShare":0.1,"register":"survivor"}""");
        var job = await service.Api.WaitAsync(refused.Id, Cancel);
        (job.State, job.Error!.Code).ShouldBe((JobState.Failed, "sweep_failed"));
        job.Error.Message.ShouldContain("1 of 3 trials failed, more than the allowed share of 0.1");
        job.Error.Details!["trial"].GetInt32().ShouldBe(2);
        using var requeued = await service.Http.PostAsync($"v1/jobs/{refused.Id}/requeue", null, Cancel);
        requeued.IsSuccessStatusCode.ShouldBeTrue();
        (await service.Api.WaitAsync(refused.Id, Cancel)).Error!.Code.ShouldBe("sweep_failed", "the trial fails again");
    }

    [Theory]
    [InlineData(":trial-0002", """{"method":"grid","space":{"learningRate":{"values":[0.001,0.01,0.02]}}}""")]
    [InlineData(":best", """{"method":"grid","space":{"learningRate":{"values":[0.001,0.01]}}}""")]
    [InlineData(":probe", """{"method":"auto","minutes":1}""")]
    public async Task A_sweep_that_finds_another_job_under_the_id_of_one_of_its_own_fails_and_says_which(string taken, string search)
    {
        await UploadAsync("sweep-taken");
        var id = Requests.NewId();
        await service.Api.WaitAsync((await service.Api.SubmitAsync(Requests.Double(1, 2) with { Id = id + taken }, cancellationToken: Cancel)).Id, Cancel);
        await service.Api.SubmitAsync(new JobSubmission { Id = id, Kind = JobKind.Sweep, Input = JsonElement.Parse($$"""{"training":{"dataset":"sweep-taken","epochs":1},"search":{{search}},"register":"taken"}""") }, cancellationToken: Cancel);
        var failed = await service.Api.WaitAsync(id, Cancel);
        (failed.State, failed.Error!.Code, failed.Error.Details!["jobId"].GetString()).ShouldBe((JobState.Failed, ProblemCodes.ChildIdTaken, id + taken));
        failed.Error.Message.ShouldContain($"Delete job `{id}{taken}` and requeue this one");
        foreach (var child in await service.Jobs.ChildrenAsync(id, Cancel))
            (child.State.IsFinal() || child.State == JobState.Paused).ShouldBeTrue($"{child.Id} is {child.State}: it trains for nobody");
        if (taken == ":probe")
            return;

        using (var deleted = await service.Http.DeleteAsync($"v1/jobs/{id}{taken}", Cancel))
            deleted.IsSuccessStatusCode.ShouldBeTrue();
        using (var requeued = await service.Http.PostAsync($"v1/jobs/{id}/requeue", null, Cancel))
            requeued.IsSuccessStatusCode.ShouldBeTrue();
        Requests.Output<SweepOutput>(await service.Api.WaitAsync(id, Cancel)).Failed.ShouldBe(0);
    }

    [Fact]
    public async Task A_cancel_that_is_refused_changes_nothing_and_held_trials_go_with_their_sweep()
    {
        await UploadAsync("sweep-ended");
        // The first trial cannot be built; the others would take long.
        var sweep = await SubmitAsync("""{"training":{"dataset":"sweep-ended","epochs":400,"batchSize":4},"search":{"method":"grid","space":{"network":{"values":[[{"type":"linear","out":7}],[{"type":"linear"}],[{"type":"linear","out":2}]]}}},"maxFailedShare":0.1,"register":"ended"}""");
        (await service.Api.WaitAsync(sweep.Id, Cancel)).Error!.Code.ShouldBe("sweep_failed");
        var held = (await service.Jobs.ChildrenAsync(sweep.Id, Cancel)).Where(static child => child.State == JobState.Paused).Select(static child => child.Id).ToArray();
        held.ShouldNotBeEmpty();

        using (var refused = await service.Http.PostAsync($"v1/jobs/{sweep.Id}/cancel", null, Cancel))
            (await Requests.ProblemAsync(refused)).ShouldSatisfyAllConditions(p => p.Status.ShouldBe(409), p => p.Code.ShouldBe(ProblemCodes.JobStateConflict));
        foreach (var trial in held)
            (await service.Api.GetAsync(trial, Cancel)).State.ShouldBe(JobState.Paused);

        using (var deleted = await service.Http.DeleteAsync($"v1/jobs/{sweep.Id}", Cancel))
            deleted.IsSuccessStatusCode.ShouldBeTrue();
        (await service.Jobs.ChildrenAsync(sweep.Id, Cancel)).ShouldBeEmpty();
    }

    [Fact]
    public async Task Pausing_and_cancelling_a_sweep_holds_and_ends_its_trials()
    {
        await UploadAsync("sweep-held");
        var job = await SubmitAsync("""{"training":{"dataset":"sweep-held","epochs":400,"batchSize":4},"search":{"method":"grid","space":{"seed":{"values":[1,2,3]}}},"register":"held"}""");
        await RunningTrialAsync(job.Id);
        using var paused = await service.Http.PostAsync($"v1/jobs/{job.Id}/pause", null, Cancel);
        (await paused.Content.ReadFromJsonAsync<Job>(QueueMaaSJson.Relaxed, Cancel))!.State.ShouldBe(JobState.Paused);
        (await LeaderboardAsync(job.Id)).Trials.Where(t => t.State is not null).ShouldAllBe(t => t.State == JobState.Paused);
        using var resumed = await service.Http.PostAsync($"v1/jobs/{job.Id}/resume", null, Cancel);
        (await resumed.Content.ReadFromJsonAsync<Job>(QueueMaaSJson.Relaxed, Cancel))!.State.ShouldBe(JobState.Queued);
        await RunningTrialAsync(job.Id);
        (await service.Api.CancelAsync(job.Id, Cancel)).State.ShouldBe(JobState.Cancelled);
        (await LeaderboardAsync(job.Id)).Trials.Where(t => t.State is not null).ShouldAllBe(t => t.State == JobState.Cancelled);
        // The worker's slot is free again.
        var next = await service.Api.SubmitAsync(QueueMaaSClient.Training(new TrainingInput { Model = "after-held", Dataset = "sweep-held", Epochs = 1 }), cancellationToken: Cancel);
        (await service.Api.WaitAsync(next.Id, Cancel)).State.ShouldBe(JobState.Succeeded);
    }

    [Fact]
    public async Task Auto_chooses_settings_for_a_table_texts_and_images_and_says_why()
    {
        await UploadAsync("auto-table");
        var jsonl = string.Join('\n', Enumerable.Range(0, 120).Select(i => $$"""{"text":"{{(i % 4 > 0 ? "sunny and warm" : "rain and storm")}} {{i}}","label":"{{(i % 4 > 0 ? "fair" : "foul")}}"}"""));
        await service.Api.UploadDatasetAsync("auto-texts", new MemoryStream(Encoding.UTF8.GetBytes(jsonl)), Cancel);
        await service.Api.UploadDatasetAsync("auto-images", new MemoryStream(TestImages.Shapes(trainPerClass: 20, testPerClass: 4, corrupt: 0)), Cancel);
        // What the job says itself is kept: here, so that the test is short.
        var table = await SubmitAsync("""{"training":{"dataset":"auto-table","batchSize":32},"search":{"method":"auto","minutes":3},"register":"auto-table"}""");
        var texts = await SubmitAsync("""{"training":{"dataset":"auto-texts","epochs":3,"data":{"tokens":{"length":8}}},"search":{"method":"auto","minutes":3},"register":"auto-texts"}""");
        var images = await SubmitAsync("""{"training":{"dataset":"auto-images","epochs":2,"preset":"cnn-small","batchSize":32},"metric":"validationMacroF1","search":{"method":"auto","minutes":3},"register":"auto-images"}""");
        var tiny = await SubmitAsync("""{"training":{"dataset":"auto-images","epochs":1,"batchSize":32,"data":{"image":{"width":16,"height":16}}},"search":{"method":"auto","minutes":3},"register":"auto-tiny"}""");
        var small = await SubmitAsync("""{"training":{"dataset":"auto-table"},"search":{"method":"auto","minutes":0.0001},"register":"auto-table"}""");

        var output = Requests.Output<SweepOutput>(await service.Api.WaitAsync(table.Id, Cancel));
        output.Reasons!.Select(r => r.Field).ShouldBe(["metric", "optimizer", "schedule.kind", "optimization.clipNorm", "preset", "learningRate", "epochs", "stopping.patience", "stopping.restoreBest", "stopping.maxMinutes", "trials"], ignoreOrder: true);
        output.Reasons!.Single(r => r.Field == "preset").Value.GetString().ShouldBe("mlp");
        output.Training.GetProperty("batchSize").GetInt32().ShouldBe(32);
        output.Best.Metric!.Value.ShouldBeGreaterThan(0.8);
        (await HistoryAsync(table.Id)).Where(e => e.Type == "log").Select(e => e.Data!.Value.GetProperty("text").GetString()!).ShouldContain(line => line.StartsWith("preset \"mlp\": ", StringComparison.Ordinal));

        output = Requests.Output<SweepOutput>(await service.Api.WaitAsync(texts.Id, Cancel));
        (output.Best.Metric, output.Training.GetProperty("preset").GetString(), output.Training.GetProperty("epochs").GetInt32()).ShouldBe((1.0, "text-cnn", 3));
        (output.Metric, output.Reasons!.Single(r => r.Field == "metric").Value.GetString()).ShouldBe(("validationBalancedAccuracy", "validationBalancedAccuracy"), "one class has three times the items of the other");
        output = Requests.Output<SweepOutput>(await service.Api.WaitAsync(images.Id, Cancel));
        (output.Metric, output.Reasons!.Single(r => r.Field == "metric").Reason).ShouldBe(("validationMacroF1", "the sweep says so"));
        output.Best.Metric!.Value.ShouldBe(output.Best.Metrics!["validationMacroF1"]);
        output.Training.GetProperty("data").GetProperty("image").GetProperty("normalise").GetBoolean().ShouldBeTrue();
        output.Reasons!.ShouldContain(r => r.Field == "data.augmentation.flip");
        output.Reasons!.ShouldNotContain(r => r.Field == "preset");
        (await service.Api.GetModelAsync("auto-images", Cancel)).Version.ShouldBe(1);

        output = Requests.Output<SweepOutput>(await service.Api.WaitAsync(tiny.Id, Cancel));
        output.Reasons!.Single(r => r.Field == "preset").ShouldSatisfyAllConditions(
            r => r.Value.GetString().ShouldBeOneOf("resnet-18", "mobilenet-small", "mlp"),
            r => r.Reason.ShouldEndWith("cnn-small needs larger images than 16 × 16"));

        var job = await service.Api.WaitAsync(small.Id, Cancel);
        (job.State, job.Error!.Code).ShouldBe((JobState.Failed, "budget_too_small"));
        job.Error.Message.ShouldContain("Give at least");
        var refused = (await Should.ThrowAsync<ProblemException>(() => SubmitAsync("""{"training":{"dataset":"auto-table"},"search":{"method":"auto"},"register":"auto-table"}"""))).Problem;
        refused.Message.ShouldContain("`search.minutes`");
    }

    [Fact]
    public async Task What_cannot_be_swept_is_refused_when_it_is_submitted()
    {
        await UploadAsync("sweep-refused");
        await RefusedAsync("""{"seed":{"integer":[1,1000]},"batchSize":{"integer":[1,1000]},"limit":{"integer":[2,1001]}}""", "sweep_too_large", "1,000,000,000 points");
        await RefusedAsync("{}", "search_invalid", "is empty");
        await RefusedAsync("""{"learningRat":{"values":[1]}}""", "unknown_field", "`learningRat`");
        await RefusedAsync("""{"data.augmentation.flop":{"values":[1]}}""", "unknown_field", "`data.augmentation.flop`");
        await RefusedAsync("""{"epochs":{"values":[3,"many"]}}""", "invalid_value", "\"many\"");
        await RefusedAsync("""{"learningRate":{"logUniform":[0.1,0.001],"points":3}}""", "search_invalid", "upside down");
        await RefusedAsync("""{"optimizer":{"values":["sgd","adam"]},"optimization.nesterov":{"values":[true]}}""", "invalid_value", "Trial 2 of the sweep (optimizer \"adam\", optimization.nesterov true)");
        await RefusedAsync("""{"preset":{"values":["mlp","mpl"]}}""", "specification_invalid", "There is no preset 'mpl'");
        await RefusedAsync("""{"data.target":{"values":["label","price"]}}""", "column_not_found", "Trial 2");
        await RefusedAsync("""{"data.columns.x.missing":{"values":["mean","refuse"]}}""", "search_invalid", "which items trials are validated on");
        await RefusedAsync("""{"epochs":{"values":[1,2]},"data.split.kind":{"values":["stratified","random"]}}""", "search_invalid", "varies `data.split.kind`");
        await RefusedAsync("""{"seed":{"values":[1]}}""", "metric_unknown", "`f1`", ",\"metric\":\"f1\"");
        await RefusedAsync("""{"seed":{"values":[1]}}""", "metric_unknown", "a training with classes", ",\"metric\":\"validationR2\"");
        var trial = (await Should.ThrowAsync<ProblemException>(() => service.Api.SubmitAsync(
            QueueMaaSClient.Training(new TrainingInput { Model = "m", Dataset = "sweep-refused", Trial = new() { Sweep = "s", Number = 1 } }), cancellationToken: Cancel))).Problem;
        trial.Message.ShouldContain("written by the service");
        using var none = await service.Http.GetAsync("v1/jobs/nowhere/leaderboard", Cancel);
        (await Requests.ProblemAsync(none)).Code.ShouldBe("job_not_found");
    }

    private static IEnumerable<string> Shown(IReadOnlyList<SweepTrial> trials) => trials.Select(t => $"{t.Rank} {t.Trial} {t.Metric:R} {JsonSerializer.Serialize(t.Parameters)}");

    private async Task RefusedAsync(string space, string code, string words, string more = "")
    {
        var problem = (await Should.ThrowAsync<ProblemException>(() => SubmitAsync($$"""{"training":{"dataset":"sweep-refused"},"search":{"method":"grid","space":{{space}}},"register":"refused"{{more}}}"""))).Problem;
        problem.Code.ShouldBe(code, problem.Message);
        problem.Message.ShouldContain(words);
    }

    private async Task RunningTrialAsync(string sweep)
    {
        while (!(await LeaderboardAsync(sweep)).Trials.Any(t => t.State == JobState.Running))
            await Task.Delay(50, Cancel);
    }

    private async Task UploadAsync(string name)
    {
        var random = new Random(5);
        var rows = Enumerable.Range(0, 300).Select(_ => (X: random.NextDouble() * 10, Red: random.Next(2) == 0)).Select(r => $"{r.X:R},{(r.Red ? "red" : "green")},{((r.X > 5) ^ r.Red ? "high" : "low")}");
        await service.Api.UploadDatasetAsync(name, new MemoryStream(Encoding.UTF8.GetBytes(string.Join('\n', rows.Prepend("x,colour,label")))), Cancel);
    }

    private Task<Job> SubmitAsync(string input) => service.Api.SubmitAsync(new JobSubmission { Kind = JobKind.Sweep, Input = JsonElement.Parse(input) }, cancellationToken: Cancel);

    private async Task<SweepLeaderboard> LeaderboardAsync(string id, string query = "") => (await service.Http.GetFromJsonAsync<SweepLeaderboard>($"v1/jobs/{id}/leaderboard{query}", QueueMaaSJson.Relaxed, Cancel))!;

    private async Task<IReadOnlyList<TrainingCheckpoint>> CheckpointsAsync(string job) =>
        (await service.Http.GetFromJsonAsync<IReadOnlyList<TrainingCheckpoint>>($"v1/jobs/{job}/checkpoints", QueueMaaSJson.Relaxed, Cancel))!;

    private async Task<IReadOnlyList<JobEvent>> HistoryAsync(string id) => (await service.Http.GetFromJsonAsync<IReadOnlyList<JobEvent>>($"v1/jobs/{id}/history?limit=1000", QueueMaaSJson.Relaxed, Cancel))!;
}
