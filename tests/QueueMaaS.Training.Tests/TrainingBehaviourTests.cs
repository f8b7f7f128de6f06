using QueueMaaS.Contracts;
using QueueMaaS.Training.Feeding;
using QueueMaaS.Training.Running;
using QueueMaaS.Training.Specification;
using QueueMaaS.Training.Specification.Layers;

namespace QueueMaaS.Training.Tests;

/// <summary>Tasks, stopping, starting from other models, failures.</summary>
public sealed class TrainingBehaviourTests
{
    [Fact]
    public void Regression_learns_a_line_and_says_how_well()
    {
        var random = new Random(1);
        var inputs = Enumerable.Range(0, 600).Select(_ => (float)(random.NextDouble() * 2 - 1)).ToArray();
        var wanted = Enumerable.Range(0, 300).Select(i => 3 * inputs[2 * i] - inputs[2 * i + 1] + 0.5f).ToArray();
        var data = Rows(inputs, 2, ExampleTargets.OfNumbers(wanted, ["y"], 10, 2));
        var trained = Train(data, Samples.Input with { Preset = "logistic", Epochs = 40, LearningRate = 0.05, Schedule = new() { Kind = ScheduleKind.Linear } });
        using var model = trained.Model;
        trained.Final.R2!.Value.ShouldBeGreaterThan(0.999);
        trained.Final.Error!.Value.ShouldBeLessThan(0.05);
        trained.Final.ConfusionMatrix.ShouldBeEmpty();
    }

    [Fact]
    public void Several_labels_at_once_are_learned()
    {
        var random = new Random(1);
        var inputs = Enumerable.Range(0, 800).Select(_ => (float)(random.NextDouble() * 2 - 1)).ToArray();
        var wanted = inputs.Select(x => x > 0 ? 1f : 0).ToArray();
        var trained = Train(Rows(inputs, 2, ExampleTargets.OfLabels(wanted, ["a", "b"])), Samples.Input with { Preset = "logistic", Epochs = 40, LearningRate = 0.1 });
        using var model = trained.Model;
        trained.Final.Accuracy.ShouldBeGreaterThan(0.95);
    }

    [Fact]
    public void An_autoencoder_learns_to_give_its_input_again()
    {
        var random = new Random(1);
        var inputs = new float[300 * 6];
        for (var i = 0; i < 300; i++)
        {
            // Six numbers out of two: a narrow network can hold them.
            var (a, b) = (random.NextDouble(), random.NextDouble());
            for (var c = 0; c < 6; c++)
                inputs[i * 6 + c] = (float)(a * Math.Sin(c) + b * Math.Cos(c));
        }

        var network = ModelSpecification.Sequential("narrow", new LinearLayer(2), new LinearLayer(6));
        var settings = TrainingSettings.From(Samples.Input with { Epochs = 60, LearningRate = 0.02 });
        var trained = new Trainer().Train(new() { Settings = settings, Data = Rows(inputs, 6, ExampleTargets.OfInputs(6)), Network = network });
        using var model = trained.Model;
        trained.Final.Loss.ShouldBeLessThan(0.01);
    }

    [Fact]
    public void A_network_that_gives_another_number_of_outputs_is_refused_before_anything_is_loaded()
    {
        var data = Rows(new float[40], 2, ExampleTargets.OfClasses([.. Enumerable.Range(0, 20).Select(i => i % 3)], ["a", "b", "c"]));
        var network = ModelSpecification.Sequential("two", new LinearLayer(2));
        var problem = Samples.ShouldFail(() => new Trainer().Train(new() { Settings = Samples.Settings(), Data = data, Network = network }), ProblemCodes.SpecificationInvalid);
        problem.Message.ShouldContain("one for each of the 3 classes");
    }

    [Fact]
    public void Early_stopping_ends_the_training_and_gives_the_best_epoch_back()
    {
        var trained = new Trainer().Train(Samples.Plan(Samples.Images(200), TrainingSettings.From(Samples.Input with
        {
            Epochs = 100,
            LearningRate = 0.01,
            BatchSize = 16,
            Stopping = new() { Patience = 2, Metric = StoppingMetric.ValidationAccuracy },
        })));
        using var model = trained.Model;
        trained.StoppedBy.ShouldBe("earlyStopping");
        trained.History.Count.ShouldBeLessThan(100);
        trained.Epoch.ShouldBe(trained.History.MaxBy(e => e.ValidationAccuracy)!.Epoch);
        trained.History.Count.ShouldBe(trained.Epoch + 2);
        trained.Final.Loss.ShouldBe(trained.History[trained.Epoch - 1].ValidationLoss, 1e-9);
    }

    [Fact]
    public void A_budget_of_time_cuts_the_training_short()
    {
        var trained = new Trainer().Train(Samples.Plan(Samples.Images(200), TrainingSettings.From(Samples.Input with { Epochs = 1000, BatchSize = 16, Stopping = new() { MaxMinutes = 0.01 } })));
        using var model = trained.Model;
        trained.StoppedBy.ShouldBe("timeBudget");
        trained.History.Count.ShouldBeInRange(1, 999);
    }

    [Fact]
    public void Frozen_layers_keep_their_weights_and_running_figures()
    {
        var network = NetworkJson.Read("net", [.. System.Text.Json.JsonElement.Parse("""
            [{"type":"conv2d","id":"stem","out":4,"kernel":3,"frozen":true}, {"type":"batchNorm","id":"norm","frozen":true}, {"type":"relu"},
             {"type":"adaptivePool2d"}, {"type":"flatten"}, {"type":"linear","id":"head"}]
            """).EnumerateArray()]);
        var plan = Samples.Plan(Samples.Images(100), Samples.Settings(epochs: 2)) with { Network = network.For(2) };
        using var before = BuiltModel.Build(plan.Network, plan.Data.Inputs.Shape, 0);
        using var after = new Trainer().Train(plan).Model;
        var (first, last) = (WeightValues.Of(before), WeightValues.Of(after));
        foreach (var name in first.Keys.Where(n => !n.StartsWith("head", StringComparison.Ordinal)))
            last[name].Values.ShouldBe(first[name].Values, name);
        last["head.weight"].Values.ShouldNotBe(first["head.weight"].Values);
    }

    [Fact]
    public void A_training_begins_with_another_models_weights_and_a_new_head()
    {
        var first = Samples.Plan(Samples.Images(100), Samples.Settings(epochs: 2));
        using var trained = new Trainer().Train(first).Model;
        var start = new StartingWeights("old@1", first.Network, WeightValues.Of(trained));
        var settings = TrainingSettings.From(Samples.Input with { Epochs = 1, StartFrom = new() { Model = "old", Freeze = ["conv*"], Reset = ["dense"] } });
        var plan = StartingPoint.Apply(Samples.Plan(Samples.Images(90, classes: 3), settings), start, out var report);
        report!.New.ShouldBe(["dense.weight", "dense.bias", "head.weight", "head.bias"]);
        report.Taken.ShouldBe(6);
        report.Frozen.ShouldBe(6);
        using var again = new Trainer().Train(plan).Model;
        WeightValues.Of(again)["conv1.weight"].Values.ShouldBe(start.Weights["conv1.weight"].Values);
        WeightValues.Of(again)["head.weight"].Shape.ShouldBe([3L, 64]);
    }

    [Fact]
    public void A_whitening_layer_makes_patches_uncorrelated()
    {
        var random = new Random(5);
        var values = new float[200 * 64];
        for (var i = 0; i < 200; i++)
        {
            // Neighbours are alike, as in photographs.
            double at = 0;
            for (var p = 0; p < 64; p++)
                values[i * 64 + p] = (float)(at = 0.8 * at + random.NextDouble() - 0.5);
        }

        var network = NetworkJson.Read("net", [.. System.Text.Json.JsonElement.Parse("""
            [{"type":"conv2d","id":"white","out":8,"kernel":2,"bias":false,"init":{"weight":"whitening"},"frozen":true},{"type":"flatten"},{"type":"linear"}]
            """).EnumerateArray()]);
        var data = new ExampleSet
        {
            Inputs = new NumberInputs(values, TensorShape.Image(1, 8, 8)),
            Targets = ExampleTargets.OfClasses([.. Enumerable.Range(0, 200).Select(i => i % 2)], ["a", "b"]),
            Split = new([.. Enumerable.Range(0, 180)], [.. Enumerable.Range(180, 20)]),
        };
        using var model = new Trainer().Train(new() { Settings = Samples.Settings(), Data = data, Network = network.For(2) }).Model;
        var weights = WeightValues.Of(model)["white.weight"].Values;
        var output = Enumerable.Range(0, 180).SelectMany(i => Enumerable.Range(0, 49).Select(p => Enumerable.Range(0, 8).Select(o =>
        {
            var (y, x) = (p / 7, p % 7);
            return (double)(weights[o * 4] * values[i * 64 + y * 8 + x] + weights[o * 4 + 1] * values[i * 64 + y * 8 + x + 1] + weights[o * 4 + 2] * values[i * 64 + (y + 1) * 8 + x] + weights[o * 4 + 3] * values[i * 64 + (y + 1) * 8 + x + 1]);
        }).ToArray())).ToArray();
        for (var a = 0; a < 4; a++)
        {
            output.Average(o => o[a] * o[a]).ShouldBe(1, 0.05);
            output.Average(o => o[a] + o[a + 4]).ShouldBe(0, 1e-6);
            for (var b = 0; b < a; b++)
                output.Average(o => o[a] * o[b]).ShouldBe(0, 0.01);
        }
    }

    [Fact]
    public void A_number_in_the_data_that_is_none_is_named_as_the_cause()
    {
        var inputs = new float[200];
        inputs[30] = float.NaN;
        var data = Rows(inputs, 2, ExampleTargets.OfClasses([.. Enumerable.Range(0, 100).Select(i => i % 2)], ["a", "b"]));
        var problem = Samples.ShouldFail(() => Train(data, Samples.Input with { Preset = "logistic" }), ProblemCodes.TrainingDiverged);
        problem.Details!["cause"].GetString().ShouldBe("inputs");
        problem.Message.ShouldContain("number 0 of an item");
    }

    [Fact]
    public void Products_in_bfloat16_train_as_well()
    {
        var trained = new Trainer().Train(Samples.Plan(Samples.Images(200), TrainingSettings.From(Samples.Input with { Epochs = 4, BatchSize = 16, Precision = TrainingPrecision.Bfloat16 })));
        using var model = trained.Model;
        trained.Final.Accuracy.ShouldBe(1);
    }

    [Theory]
    [InlineData("airbench")]
    [InlineData("mobilenet-small")]
    public void A_network_in_bfloat16_learns_what_it_learns_in_single_precision(string preset)
    {
        var input = Samples.Input with { Preset = preset, Epochs = 5, BatchSize = 10 };
        foreach (var precision in (TrainingPrecision[])[TrainingPrecision.Bfloat16, TrainingPrecision.Float32])
        {
            var trained = new Trainer().Train(Samples.Plan(Samples.Images(80, height: 12, width: 12), TrainingSettings.From(input with { Precision = precision })));
            using var model = trained.Model;
            // Over so few steps the running figures of normalisations lag behind: what is learned shows while training.
            trained.History[^1].Accuracy.ShouldBeGreaterThan(0.9, precision.ToString());
        }
    }

    [Fact]
    public void The_fastest_precision_is_one_of_the_two_by_what_the_device_can()
    {
        Runtime.TorchRuntime.EnsureLoaded();
        var input = Samples.Input with { Epochs = 1, BatchSize = 16 };
        var expected = HalfPrecision.PaysOn(TorchSharp.torch.cuda_is_available() ? TorchSharp.torch.CUDA : TorchSharp.torch.CPU) ? TrainingPrecision.Bfloat16 : TrainingPrecision.Float32;
        Weights(TrainingPrecision.Fastest).ShouldBe(Weights(expected));
        Weights(TrainingPrecision.Bfloat16).ShouldNotBe(Weights(TrainingPrecision.Float32));

        float[] Weights(TrainingPrecision precision) => Samples.Weights(Samples.Plan(Samples.Images(100), TrainingSettings.From(input with { Precision = precision })));
    }

    [Fact]
    public void The_best_recipe_for_images_learns_and_answers_with_the_average_of_its_views()
    {
        var input = Recipes.TrainingDocument.Read(System.Text.Json.JsonElement.Parse("""{"model":"m","dataset":"d","recipe":"cifar-best@1","epochs":3,"batchSize":20}"""));
        var trained = new Trainer().Train(Samples.Plan(Samples.Images(120, classes: 4, height: 12, width: 12), TrainingSettings.From(input)));
        using var model = trained.Model;
        trained.Final.Accuracy.ShouldBeGreaterThan(0.9);
        (model.Specification.Nodes[0].Layer, model.Specification.Nodes[^1].Layer).ShouldBe((new Specification.Layers.ViewsLayer(true, 1), new Specification.Layers.ViewAverageLayer(true, 1)));
        trained.History[^1].ValidationLoss.ShouldNotBe(trained.Final.Loss, "epochs are watched with one look at each item");
    }

    [Fact]
    public void A_lack_of_memory_is_told_with_the_batch_size_to_try()
    {
        var plan = Samples.Plan(Samples.Images(200), Samples.Settings(batchSize: 32));
        var problem = OutOfMemory.Explain(plan, new InvalidOperationException()).Problem;
        problem.Code.ShouldBe(ProblemCodes.OutOfMemory);
        problem.Details!["tryBatchSize"].GetInt32().ShouldBe(16);
        problem.Message.ShouldContain("'batchSize' 16 instead of 32");
        // What libtorch says when it asks for more than there is.
        Runtime.TorchRuntime.EnsureLoaded();
        var refused = Should.Throw<System.Runtime.InteropServices.ExternalException>(() => TorchSharp.torch.empty(1L << 50));
        OutOfMemory.Is(refused).ShouldBeTrue(refused.Message);
    }

    private static TrainedModel Train(ExampleSet data, TrainingInput input) => new Trainer().Train(TrainingPlan.For(TrainingSettings.From(input with { BatchSize = 16 }), data));

    private static ExampleSet Rows(float[] values, int width, ExampleTargets targets)
    {
        var count = values.Length / width;
        return new() { Inputs = new NumberInputs(values, TensorShape.Row(width)), Targets = targets, Split = new([.. Enumerable.Range(0, count * 4 / 5)], [.. Enumerable.Range(count * 4 / 5, count / 5)]) };
    }
}
