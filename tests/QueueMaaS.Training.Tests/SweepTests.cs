using System.Text.Json;
using System.Text.Json.Nodes;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Life;
using QueueMaaS.Training.Preparation;
using QueueMaaS.Training.Running;
using QueueMaaS.Training.Sweeps;

namespace QueueMaaS.Training.Tests;

public sealed class SweepTests
{
    [Fact]
    public void A_grid_has_every_point_with_the_last_field_changing_fastest()
    {
        var points = Points("""{"method":"grid","space":{"learningRate":{"logUniform":[0.0001,0.1],"points":4},"batchSize":{"integer":[1,2]}}}""");
        points.Select(p => (p["learningRate"].GetDouble(), p["batchSize"].GetInt32())).ShouldBe([(0.0001, 1), (0.0001, 2), (0.001, 1), (0.001, 2), (0.01, 1), (0.01, 2), (0.1, 1), (0.1, 2)]);
        Points("""{"method":"grid","space":{"batchSize":{"logInteger":[1,4],"points":9}}}""").Select(p => p["batchSize"].GetInt32()).ShouldBe([1, 2, 3, 4]);
    }

    [Fact]
    public void Random_points_are_a_function_of_the_seed_lie_in_their_ranges_and_do_not_repeat()
    {
        const string Search = """{"method":"random","trials":60,"seed":SEED,"space":{"learningRate":{"logUniform":[0.0001,0.1]},"batchSize":{"logInteger":[4,64]},"optimizer":{"values":["adam","sgd"]}}}""";
        var first = Points(Search.Replace("SEED", "7"));
        Text(first).ShouldBe(Text(Points(Search.Replace("SEED", "7"))));
        Text(first).ShouldNotBe(Text(Points(Search.Replace("SEED", "8"))));
        Text(first).Distinct().Count().ShouldBe(60);
        first.ShouldAllBe(p => p["learningRate"].GetDouble() >= 0.0001 && p["learningRate"].GetDouble() <= 0.1 && p["batchSize"].GetInt32() >= 4 && p["batchSize"].GetInt32() <= 64);
        // Each order of magnitude as likely: a third lies below 0.001.
        first.Count(p => p["learningRate"].GetDouble() < 0.001).ShouldBeInRange(10, 30);
        Points("""{"method":"random","trials":4,"space":{"batchSize":{"integer":[1,4]}}}""").Select(p => p["batchSize"].GetInt32()).Order().ToArray().ShouldBe([1, 2, 3, 4], "a small space is gone through without repeats");
    }

    [Theory]
    [InlineData("""{"method":"grid","space":{"seed":{"integer":[1,1000]},"batchSize":{"integer":[1,1000]},"epochs":{"integer":[1,1000]}}}""", "sweep_too_large", "1,000,000,000 points")]
    [InlineData("""{"method":"grid","space":{"learningRate":{"uniform":[0.1,0.2],"points":2000000000}}}""", "sweep_too_large", "allows 100")]
    [InlineData("""{"method":"random","trials":101,"space":{"learningRate":{"uniform":[0.1,0.2]}}}""", "sweep_too_large", "101 trials")]
    [InlineData("""{"method":"grid","space":{}}""", "search_invalid", "is empty")]
    [InlineData("""{"method":"grid","space":{"seed":{"values":[]}}}""", "search_invalid", "`values` is empty")]
    [InlineData("""{"method":"grid","space":{"seed":{}}}""", "search_invalid", "exactly one of")]
    [InlineData("""{"method":"grid","space":{"learningRate":{"uniform":[0.1,0.2]}}}""", "search_invalid", "`points`")]
    [InlineData("""{"method":"random","trials":3,"space":{"learningRate":{"uniform":[0.2,0.1]}}}""", "search_invalid", "upside down")]
    [InlineData("""{"method":"random","trials":3,"space":{"learningRate":{"logUniform":[0,0.1]}}}""", "search_invalid", "above 0")]
    [InlineData("""{"method":"random","trials":3,"space":{"learningRate":{"uniform":[0.1]}}}""", "search_invalid", "two numbers")]
    [InlineData("""{"method":"random","trials":3,"space":{"a..b":{"values":[1,2,3]}}}""", "search_invalid", "no path")]
    [InlineData("""{"method":"random","trials":9,"space":{"seed":{"integer":[1,3]}}}""", "search_invalid", "only 3 different points")]
    [InlineData("""{"method":"random","space":{"seed":{"integer":[1,3]}}}""", "invalid_value", "`search.trials`")]
    public void A_space_at_fault_is_refused_with_its_place(string search, string code, string words)
    {
        var problem = Should.Throw<ProblemException>(() => Points(search)).Problem;
        (problem.Code, problem.Message).ShouldSatisfyAllConditions(p => p.Code.ShouldBe(code), p => p.Message.ShouldContain(words));
    }

    [Fact]
    public void Any_field_of_a_training_can_be_varied_by_its_path()
    {
        var training = (JsonObject)JsonNode.Parse("""{"epochs":3,"network":[{"type":"linear","out":4},{"type":"linear"}]}""")!;
        Set(training, "epochs", "5");
        Set(training, "optimization.weightDecay", "0.1");
        Set(training, "network[0].out", "8");
        Set(training, "data.columns[\"a.b\"].scaling", "\"none\"");
        training.ToJsonString().ShouldBe("""{"epochs":5,"network":[{"type":"linear","out":8},{"type":"linear"}],"optimization":{"weightDecay":0.1},"data":{"columns":{"a.b":{"scaling":"none"}}}}""");
        Should.Throw<ProblemException>(() => Set(training, "network[2].out", "8")).Problem.Code.ShouldBe("search_invalid");
        Should.Throw<ProblemException>(() => Set(training, "epochs.first", "8")).Problem.Message.ShouldContain("nothing there to vary");
    }

    [Theory]
    [InlineData(1, 27, "1 3 9 27")]
    [InlineData(1, 10, "1 3 10")]
    [InlineData(2, 3, "2 3")]
    public void Rungs_grow_by_the_reduction_up_to_the_trainings_epochs(int least, int epochs, string rungs) =>
        SweepPlan.Of(JsonElement.Parse($$"""{"training":{"model":"m","dataset":"d","epochs":{{epochs}} },"search":{"method":"asha","trials":9,"minEpochs":{{least}},"space":{"seed":{"integer":[1,9]} } } }"""), 100)
            .Rungs.ShouldBe(rungs.Split(' ').Select(int.Parse));

    [Theory]
    [InlineData("epochs", "more and more")]
    [InlineData("dataset", "same for all trials")]
    [InlineData("deploy", "same for all trials")]
    public void Fields_that_make_trials_incomparable_are_refused(string field, string words) =>
        Should.Throw<ProblemException>(() => SweepPlan.Of(JsonElement.Parse($$"""{"training":{"model":"m","dataset":"d"},"search":{"method":"asha","trials":2,"space":{"{{field}}":{"values":[1,2]} } } }"""), 100))
            .Problem.Message.ShouldContain(words);

    [Theory]
    [InlineData("Gate", "a training has `gate`")]
    [InlineData("Model", "a training has `model`")]
    [InlineData("DATASET", "a training has `dataset`")]
    [InlineData("Deploy", "a training has `deploy`")]
    [InlineData("monitor", "same for all trials")]
    [InlineData("Epochs", "a training has `epochs`")]
    [InlineData("learningrate", "a training has `learningRate`")]
    [InlineData("optimization.WeightDecay", "a training has `optimization.weightDecay`")]
    [InlineData("data.columns[\\\"A.b\\\"].Scaling", "a training has `data.columns[\"A.b\"].scaling`")]
    public void A_field_of_a_sweep_is_written_as_the_contract_writes_it(string field, string words)
    {
        var problem = Should.Throw<ProblemException>(() => Plan($$"""{"{{field}}":{"values":[1,2]} }""")).Problem;
        (problem.Code, problem.Details!["path"].GetString()).ShouldBe((ProblemCodes.SearchInvalid, "input.search.space"));
        problem.Message.ShouldContain(words);
    }

    [Theory]
    [InlineData("optimization", "optimization.momentum")]
    [InlineData("optimization.momentum", "optimization")]
    [InlineData("data.columns.a", "data.columns[\\\"a\\\"].scaling")]
    [InlineData("learningRate", "[\\\"learningRate\\\"]")]
    public void Fields_of_a_sweep_that_lie_within_each_other_are_refused(string first, string second)
    {
        var problem = Should.Throw<ProblemException>(() => Plan($$"""{"{{first}}":{"values":[1,2]},"{{second}}":{"values":[1,2]} }""")).Problem;
        problem.Code.ShouldBe(ProblemCodes.SearchInvalid);
        problem.Message.ShouldContain("one lies within the other");
    }

    [Fact]
    public void Fields_beside_each_other_and_columns_that_part_by_case_are_varied_together() =>
        Plan("""{"optimization.momentum":{"values":[0,0.9]},"optimization.weightDecay":{"values":[0,0.1]},"data.columns.a.scaling":{"values":["none"]},"data.columns.A.scaling":{"values":["none"]} }""").Points.Count.ShouldBe(4);

    [Fact]
    public void What_a_sweep_varies_takes_the_place_of_what_its_training_says_in_another_case()
    {
        var plan = SweepPlan.Of(JsonElement.Parse("""{"training":{"Model":"m","dataset":"d","LearningRate":7,"Data":{"Columns":{"Ab":{"Scaling":"none"}}}},"search":{"method":"grid","space":{"learningRate":{"values":[1,2]}}}}"""), 100);
        plan.Training(2).ToJsonString().ShouldBe("""{"model":"m","dataset":"d","learningRate":2,"data":{"columns":{"Ab":{"scaling":"none"}}}}""");
        Should.Throw<ProblemException>(() => SweepPlan.Of(JsonElement.Parse("""{"training":{"model":"m","dataset":"d","epochs":1,"Epochs":2},"search":{"method":"grid","space":{"seed":{"values":[1,2]}}}}"""), 100))
            .Problem.Message.ShouldContain("the field `epochs` twice");
        Should.Throw<ProblemException>(() => SweepPlan.Of(JsonElement.Parse("""{"training":{"model":"m","dataset":"d","Trial":{}},"search":{"method":"grid","space":{"seed":{"values":[1,2]}}}}"""), 100))
            .Problem.Message.ShouldContain("the service writes it");
    }

    [Fact]
    public void A_recipe_counts_however_its_name_and_what_is_laid_over_it_are_written()
    {
        var input = Recipes.TrainingDocument.Read(JsonElement.Parse("""{"model":"m","dataset":"d","Recipe":"tabular-default@1","Epochs":3,"Optimization":{"WeightDecay":0.5}}"""));
        (input.Recipe, input.Epochs, input.Optimization!.WeightDecay).ShouldBe(("tabular-default@1", 3, 0.5));
        input.BatchSize.ShouldNotBeNull("the recipe says it");
    }

    [Fact]
    public void Where_the_loss_is_varied_its_values_are_not_compared()
    {
        var plan = Plan("""{"loss.kind":{"values":["mse","huber"]},"epochs":{"values":[1,2]} }""");
        SweepMetric.Default(TrainingTask.Regression, plan.LossField is not null).ShouldBe("validationError");
        SweepMetric.Default(TrainingTask.Autoencoding, plan.LossField is not null).ShouldBe("validationError");
        SweepMetric.Default(TrainingTask.Classification, plan.LossField is not null).ShouldBe("validationAccuracy");
        SweepMetric.Default(TrainingTask.Regression, Plan("""{"epochs":{"values":[1,2]} }""").LossField is not null).ShouldBe("validationLoss");

        var problem = Should.Throw<ProblemException>(() => SweepPlan.Of(
            JsonElement.Parse("""{"training":{"model":"m","dataset":"d"},"metric":"validationLoss","search":{"method":"grid","space":{"loss":{"values":[{"kind":"mse"},{"kind":"huber"}]} } } }"""), 100)).Problem;
        (problem.Code, problem.Details!["path"].GetString()).ShouldBe((ProblemCodes.SearchInvalid, "input.metric"));
        problem.Message.ShouldContain("different units");
    }

    [Theory]
    [InlineData("""{"data.columns.x.missing":{"values":["mean","refuse"]}}""", "data.columns.x.missing", "data.columns.x.missing")]
    [InlineData("""{"data.columns[\"*\"].missing":{"values":["refuse","zero"]}}""", "data.columns[\"*\"].missing", "data.columns.*.missing")]
    [InlineData("""{"data.columns":{"values":[{"x":{"missing":"mean"}},{"*":{"missing":"refuse"}}]}}""", "data.columns", "data.columns.x.missing")]
    [InlineData("""{"data.ignore":{"values":[["z"],["y"]]}}""", "data.ignore", "data.columns.y.missing")]
    [InlineData("""{"data.split.kind":{"values":["own","random"]},"epochs":{"values":[1,2]}}""", "data.split.kind", "data.split.kind")]
    [InlineData("""{"data.split":{"values":[{"kind":"group","column":"a"},{"kind":"group","column":"b"}]}}""", "data.split", "data.split.column")]
    [InlineData("""{"validationShare":{"uniform":[0.1,0.5],"points":3}}""", "validationShare", "validationShare")]
    [InlineData("""{"limit":{"values":[100,200]}}""", "limit", "limit")]
    [InlineData("""{"data.removeDuplicates":{"values":[true,false]}}""", "data.removeDuplicates", "data.removeDuplicates")]
    [InlineData("""{"data.target":{"values":["a","b"]}}""", "data.target", "data.target")]
    [InlineData("""{"data":{"values":[{},{"text":"a"}]}}""", "data", "data.text")]
    [InlineData("""{"task":{"values":["classification","regression"]}}""", "task", "task")]
    public void Trials_that_would_be_validated_on_different_items_are_refused(string space, string field, string decides)
    {
        var problem = Should.Throw<ProblemException>(() => RequireSameItems(Plan(space, ""","data":{"columns":{"y":{"missing":"refuse"}}}"""))).Problem;
        (problem.Code, problem.Details!["field"].GetString(), problem.Details!["decides"].GetString(), problem.Details!["path"].GetString()).ShouldBe((ProblemCodes.SearchInvalid, field, decides, "input.search.space"));
        problem.Message.ShouldContain("one sweep for each value");
    }

    [Theory]
    [InlineData("""{"data.columns.x.missing":{"values":["mean","zero"]}}""")]
    [InlineData("""{"data.columns.x.scaling":{"values":["robust","none"]}}""")]
    [InlineData("""{"data.split.leak":{"values":["keep","remove"]}}""")]
    [InlineData("""{"data.ignore":{"values":[["x"],["z"]]}}""")]
    [InlineData("""{"seed":{"values":[1,2]}}""")]
    [InlineData("""{"data.image.width":{"values":[16,32]}}""")]
    public void Trials_that_are_validated_on_the_same_items_are_taken(string space) => RequireSameItems(Plan(space));

    [Fact]
    public void Where_the_seed_is_varied_one_seed_draws_the_items_of_all_trials()
    {
        var plan = Plan("""{"seed":{"values":[5,6]}}""", ""","seed":3""");
        TrainingSettings Trial(int trial) => TrainingSettings.From(Recipes.TrainingDocument.Read(JsonElement.Parse(TrialJobs.Input(plan, "s", "d@1", trial, 0))));
        (Trial(1).Seed, Trial(2).Seed, Trial(1).DataSeed, Trial(2).DataSeed).ShouldBe((5, 6, 3, 3));
        var data = Samples.Images(100);
        var (first, second) = (ImagePreparer.Prepare(data, Trial(1)).Examples.Split, ImagePreparer.Prepare(data, Trial(2)).Examples.Split);
        first.Validation.ShouldBe(second.Validation);
        TrainingSettings.From(Samples.Input with { Seed = 7 }).DataSeed.ShouldBe(7);
        Plan("""{"epochs":{"values":[5,6]}}""").DataSeed.ShouldBeNull();
        TrainingSettings.From(Recipes.TrainingDocument.Read(JsonElement.Parse(TrialJobs.RegistrationInput(plan, "s", "d@1", 2, 0)))).DataSeed.ShouldBe(3);
    }

    private static void RequireSameItems(SweepPlan plan)
    {
        var trials = Enumerable.Range(1, plan.Points.Count).Select(trial => ValidationItems.Of(TrainingSettings.From(Recipes.TrainingDocument.Read(JsonSerializer.SerializeToElement(plan.Training(trial)))))).ToArray();
        for (var i = 0; i < trials.Length; i++)
            SweepSubmissionCheck.RequireSameItems(plan, i + 1, trials[i], trials[0]);
    }

    private static SweepPlan Plan(string space, string settings) => SweepPlan.Of(JsonElement.Parse($$"""{"training":{"model":"m","dataset":"d"{{settings}} },"search":{"method":"grid","space":{{space}} } }"""), 100);

    private static SweepPlan Plan(string space) => SweepPlan.Of(JsonElement.Parse($$"""{"training":{"model":"m","dataset":"d"},"search":{"method":"grid","space":{{space}} } }"""), 100);

    [Theory]
    [InlineData("validationBalancedAccuracy", TrainingTask.Classification, true)]
    [InlineData("validationMacroF1", TrainingTask.Classification, true)]
    [InlineData("validationBalancedAccuracy", TrainingTask.MultiLabel, false)]
    [InlineData("validationMacroF1", TrainingTask.Regression, false)]
    [InlineData("validationAccuracy", TrainingTask.Regression, false)]
    [InlineData("validationError", TrainingTask.Classification, false)]
    public void A_figure_that_the_task_does_not_have_is_refused_with_those_that_it_has(string metric, TrainingTask task, bool taken)
    {
        if (taken)
            SweepMetric.Require(metric, task);
        else
            Should.Throw<ProblemException>(() => SweepMetric.Require(metric, task)).Problem.ShouldSatisfyAllConditions(p => p.Code.ShouldBe(ProblemCodes.MetricUnknown), p => p.Message.ShouldContain("`validationLoss`"));
        SweepMetric.IsBetter("validationBalancedAccuracy", 0.9, 0.8).ShouldBeTrue();
    }

    [Fact]
    public void A_model_that_knows_the_large_class_only_is_worth_little_by_balanced_accuracy_and_by_macro_f1()
    {
        var lazy = new Evaluation.EvaluationResult(0, 0.9, [[90, 0, 0], [10, 0, 0], [0, 0, 0]]);
        lazy.BalancedAccuracy.ShouldBe(0.5, "the third class has no items");
        lazy.MacroF1!.Value.ShouldBe(180.0 / 190 / 2, 1e-12);
        new Evaluation.EvaluationResult(0, 0, []).BalancedAccuracy.ShouldBeNull();
    }

    [Theory]
    [InlineData("""{"method":"grid","space":{"learningRate":{"values":[0.1,0.2,0.1]}}}""", "The field `learningRate` of `search.space` is at fault: `values` has 0.1 2 times")]
    [InlineData("""{"method":"grid","space":{"learningRate":{"values":[0.1,0.10]}}}""", "`values` has 0.1 2 times")]
    [InlineData("""{"method":"random","trials":2,"space":{"loss":{"values":[{"kind":"focal","gamma":2},{"gamma":2.0,"kind":"focal"}]}}}""", "2 times")]
    public void A_value_that_stands_twice_in_a_space_is_refused_of_new_sweeps(string search, string words)
    {
        var sweep = JsonElement.Parse($$"""{"training":{"dataset":"d"},"search":{{search}},"register":"m"}""");
        var problem = Should.Throw<ProblemException>(() => SweepPlan.OfNew(sweep, 100)).Problem;
        (problem.Code, problem.Message.Contains(words, StringComparison.Ordinal)).ShouldBe(("search_invalid", true), problem.Message);
        SweepPlan.Of(sweep, 100).Points.ShouldNotBeEmpty("one that was accepted before is led on");
    }

    [Theory]
    [InlineData("""{"dataset":"bin","epoch":3}""", "unknown_field", "epoch", "input.training.epoch")]
    [InlineData("""{"dataset":"bin","epochs":"3"}""", "invalid_value", "`epochs`", "input.training.epochs")]
    [InlineData("""{"epochs":3}""", "invalid_request", "`dataset`", "input.training")]
    [InlineData("""{"dataset":"bin","recipe":"nowhere@1"}""", "recipe_not_found", "nowhere", null)]
    public void What_is_wrong_with_the_training_is_not_blamed_on_the_space(string training, string code, string words, string? path)
    {
        foreach (var search in new[] { """{"method":"grid","space":{"learningRate":{"values":[0.1,0.2]}}}""", """{"method":"asha","trials":3,"space":{"learningRate":{"uniform":[0.1,0.2]}}}""", """{"method":"auto","minutes":5}""" })
        {
            var problem = Should.Throw<ProblemException>(() => SweepPlan.OfNew(JsonElement.Parse($$"""{"training":{{training}},"search":{{search}},"register":"m"}"""), 100)).Problem;
            problem.Code.ShouldBe(code, problem.Message);
            problem.Message.ShouldStartWith("`training` is at fault, whatever is varied: ");
            problem.Message.ShouldContain(words);
            problem.Message.ShouldNotContain("space");
            if (path is not null)
                problem.Details!["path"].GetString().ShouldBe(path);
        }
    }

    [Fact]
    public void The_best_trial_is_given_with_its_best_checkpoint_not_with_its_last()
    {
        var plan = SweepPlan.Of(JsonElement.Parse("""{"training":{"model":"m","dataset":"d","epochs":9},"search":{"method":"asha","trials":3,"space":{"learningRate":{"logUniform":[0.001,0.1]} } } }"""), 100);
        plan.Rungs.ShouldBe([1, 3, 9]);

        // The second went on to the top and lost there what it had; the third never came so far; the first was ended with the budget in its last rung.
        var standing = SweepStanding.Of(plan, [Ended(1, 0, 0.5), Ended(1, 1, 0.6), Ended(1, 2, null), Ended(2, 0, 0.7), Ended(2, 1, 0.9), Ended(2, 2, 0.8), Ended(3, 0, 0.95)]);

        var best = standing.Best!;
        (best.Trial, best.Metric, best.Metrics!["validationLoss"]).ShouldBe((2, 0.9, 1.9));
        (best.Rung, best.Job, best.Epochs).ShouldBe((1, "s:trial-0002.1", 3), "a line is about one checkpoint");
        (best.Reached, best.LatestJob).ShouldBe((2, "s:trial-0002.2"));
        (standing.Trials[2].Reached, standing.Trials[2].Job, standing.Trials[2].LatestJob).ShouldBe((0, "s:trial-0003", null));
        standing.BestRungOf(2).ShouldBe(1);
        standing.Trials.Select(static trial => (trial.Trial, trial.Metric)).ShouldBe([(2, 0.9), (1, 0.6), (3, 0.95)]);
        standing.Trials[1].State.ShouldBe(JobState.Cancelled);

        JobRecord Ended(int trial, int rung, double? accuracy) => new()
        {
            Id = TrialJobs.IdOf("s", trial, rung),
            Tenant = "default",
            Kind = JobKind.Training,
            State = accuracy is null ? JobState.Cancelled : JobState.Succeeded,
            Input = TrialJobs.Input(plan, "s", "d@1", trial, rung),
            RequestHash = "",
            Output = accuracy is { } figure ? JsonSerializer.Serialize(
                new TrialOutput
                {
                    Trial = new() { Sweep = "s", Number = trial, Rung = rung },
                    Dataset = "d@1",
                    Task = TrainingTask.Classification,
                    Metrics = new Dictionary<string, double> { ["validationAccuracy"] = figure, ["validationLoss"] = 1 + figure },
                    History = [.. Enumerable.Range(1, plan.Rungs[rung]).Select(static epoch => new EpochMetrics { Epoch = epoch, Loss = 1, Accuracy = 0, ValidationLoss = 1, ValidationAccuracy = 0, Seconds = 1, ImagesPerSecond = 1 })],
                    Epoch = 1,
                    Parameters = 1,
                    Device = "cpu",
                    Seconds = 1,
                },
                QueueMaaSJson.Relaxed) : null,
        };
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    [InlineData(40)]
    public void Halving_takes_the_best_to_the_top_with_any_number_of_workers(int workers)
    {
        var (cells, steps) = Simulate(trials: 27, rungs: 4, workers, failing: []);
        steps.Count(s => s.Action == "start").ShouldBe(27);
        cells.Keys.ShouldBeUnique();
        cells.Where(c => c.Key.Rung == 3).Select(c => c.Key.Trial).ShouldContain(5, "the best trial reaches the highest rung");
        // Every promotion was within the top third of its rung at that moment.
        steps.Where(s => s.Action == "promote").ShouldAllBe(s => s.Metric != null);
        cells.Count(c => c.Key.Rung == 1).ShouldBeInRange(9, 18);
        cells.Count(c => c.Key.Rung == 3).ShouldBeLessThan(5, "few are trained to the end");
    }

    [Fact]
    public void Halving_finishes_the_best_of_few_trials_and_goes_on_past_failed_ones()
    {
        var (cells, steps) = Simulate(trials: 2, rungs: 3, workers: 2, failing: []);
        cells.Keys.Where(c => c.Trial == 2).Select(c => c.Rung).Order().ShouldBe([0, 1, 2]);
        steps.Where(s => s.Action == "finish").Select(s => (s.Trial, s.Rung)).ShouldBe([(2, 1), (2, 2)]);
        (cells, _) = Simulate(trials: 9, rungs: 3, workers: 2, failing: [(5, 0), (2, 1)]);
        cells.Where(c => c.Key.Rung == 2).Select(c => c.Key.Trial).ShouldContain(7, "the best of those that do not fail");
        Simulate(trials: 2, rungs: 2, workers: 1, failing: [(1, 0), (2, 0)]).Steps.Count.ShouldBe(2, "where all fail, nothing is left to do");
    }

    /// <summary>A permutation of 1 to 27: trial 5 is the best, then 2, 7.</summary>
    private static int Quality(int trial) => trial * 11 % 28;

    /// <summary>Runs a sweep whose trials are as good as their <see cref="Quality"/>; each worker takes one training at a time.</summary>
    private static (Dictionary<(int Trial, int Rung), HalvingCell> Cells, List<SweepDecision> Steps) Simulate(int trials, int rungs, int workers, (int, int)[] failing)
    {
        var cells = new Dictionary<(int Trial, int Rung), HalvingCell>();
        var steps = new List<SweepDecision>();
        var running = new Queue<(int Trial, int Rung)>();
        while (true)
        {
            while (running.Count < workers && Halving.Next(trials, 3, rungs, cells, "validationAccuracy") is { } next)
            {
                steps.Add(next);
                cells.ShouldNotContainKey((next.Trial, next.Rung));
                cells[(next.Trial, next.Rung)] = new(IsOpen: true, null);
                running.Enqueue((next.Trial, next.Rung));
            }

            if (!running.TryDequeue(out var ended))
                return (cells, steps);
            cells[ended] = new(IsOpen: false, failing.Contains(ended) ? null : Quality(ended.Trial));
        }
    }

    private static void Set(JsonObject training, string path, string value) => FieldPath.Parse(path).Set(training, JsonElement.Parse(value));

    private static IReadOnlyList<IReadOnlyDictionary<string, JsonElement>> Points(string search) => SearchPoints.Of(JsonSerializer.Deserialize<SearchSettings>(search, QueueMaaSJson.Strict)!, 100);

    private static IEnumerable<string> Text(IReadOnlyList<IReadOnlyDictionary<string, JsonElement>> points) => points.Select(p => string.Join(' ', p.Values.Select(v => v.GetRawText())));
}
