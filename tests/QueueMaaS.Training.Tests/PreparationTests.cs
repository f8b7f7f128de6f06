using QueueMaaS.Contracts;
using QueueMaaS.Training.Feeding;
using QueueMaaS.Training.Jobs;
using QueueMaaS.Training.Preparation;
using QueueMaaS.Training.Running;
using QueueMaaS.Training.Specification;

namespace QueueMaaS.Training.Tests;

/// <summary>Splits, leaks, balance, variation, and tables that cannot be used.</summary>
public sealed class PreparationTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_split_is_stratified_seeded_and_gives_every_class_to_both_sides()
    {
        var data = Samples.Images(100, classes: 4);
        DataSplit Split(long seed) => ImagePreparer.Prepare(data, TrainingSettings.From(Samples.Input with { ValidationShare = 0.2, Seed = seed })).Examples.Split;
        var split = Split(1);
        (split.Train.Length, split.Validation.Length).ShouldBe((80, 20));
        split.Validation.CountBy(i => data.Labels[i]).ShouldAllBe(c => c.Value == 5);
        split.Train.Intersect(split.Validation).ShouldBeEmpty();
        Split(1).Validation.ShouldBe(split.Validation);
        Split(2).Validation.ShouldNotBe(split.Validation);
    }

    [Fact]
    public void A_test_split_of_the_data_set_is_what_is_validated_on()
    {
        var data = Samples.Images(100);
        for (var i = 90; i < 100; i++)
            data.Splits[i] = "test";
        var prepared = ImagePreparer.Prepare(data, TrainingSettings.From(Samples.Input with { ValidationShare = 0.5 }));
        prepared.Examples.Split.Validation.Order().ShouldBe(Enumerable.Range(90, 10));
        prepared.Examples.Split.Train.Length.ShouldBe(90);
        prepared.Report.Split.ShouldBe("own");
    }

    [Fact]
    public void Content_on_both_sides_is_found_and_taken_out_or_refused()
    {
        var data = Samples.Images(60);
        for (var i = 50; i < 60; i++)
            data.Splits[i] = "test";
        // Two validation images are copies of training images.
        data[3].CopyTo(data.Pixels.AsSpan(51 * data.ImageBytes));
        data[4].CopyTo(data.Pixels.AsSpan(52 * data.ImageBytes));
        PreparedData Prepare(LeakAction leak) => ImagePreparer.Prepare(data, TrainingSettings.From(Samples.Input with { Data = new() { Split = new() { Leak = leak } } }));
        var removed = Prepare(LeakAction.Remove);
        removed.Report.Leaks.ShouldBe(2);
        removed.Examples.Split.Train.ShouldNotContain(3);
        removed.Examples.Split.Train.Length.ShouldBe(48);
        Prepare(LeakAction.Keep).Examples.Split.Train.Length.ShouldBe(50);
        Samples.ShouldFail(() => Prepare(LeakAction.Fail), ProblemCodes.DatasetLeak).Message.ShouldContain("2 of 10");
        var unique = ImagePreparer.Prepare(data, TrainingSettings.From(Samples.Input with { Data = new() { RemoveDuplicates = true } }));
        (unique.Report.Duplicates, unique.Report.Leaks).ShouldBe((2, 0));
    }

    [Fact]
    public void Groups_stay_together_and_the_latest_are_validated_on()
    {
        var lines = Enumerable.Range(0, 100).Select(i => $"{i * 0.5:R},person{i % 20},2026-01-{1 + i % 28:00},{(i / 3 % 2 == 0 ? "a" : "b")}").Prepend("x,person,day,label");
        var path = _folder.File("t.csv");
        File.WriteAllLines(path, lines);
        var grouped = Prepare(path, new() { Split = new() { Kind = SplitKind.Group, Column = "person" } });
        grouped.Examples.Split.Train.Select(i => i % 20).Intersect(grouped.Examples.Split.Validation.Select(i => i % 20)).ShouldBeEmpty();
        var timed = Prepare(path, new() { Split = new() { Kind = SplitKind.Time, Column = "day" }, Ignore = ["person"] });
        timed.Examples.Split.Validation.Min(i => i % 28).ShouldBeGreaterThanOrEqualTo(timed.Examples.Split.Train.Max(i => i % 28));
        timed.Pipeline.Table!.Columns.Select(c => c.Name).ShouldBe(["x"]);
    }

    [Fact]
    public void What_was_left_out_or_resized_is_told()
    {
        // Of 100 rows ten have no x and five no label; a limit leaves more out, but not for want of a value.
        var path = _folder.File("t.csv");
        File.WriteAllLines(path, Enumerable.Range(0, 100).Select(i => $"{(i < 10 ? "" : i)},{(i % 20 == 19 ? "" : i % 2 == 0 ? "a" : "b")}").Prepend("x,label"));
        var refused = new Dictionary<string, ColumnPreparation> { ["x"] = new() { Missing = MissingValue.Refuse } };
        Findings(Prepare(path, new() { Target = "label", Columns = refused })).ShouldBe(["15 items were left out of training and validation because a value was missing: of the target or text, or of a column whose missing values are refused."]);
        Findings(Prepare(path, new() { Target = "label", Columns = refused }, limit: 40)).Single().ShouldStartWith("15 items");
        Findings(Prepare(path, new() { Target = "label" })).Single().ShouldStartWith("5 items");

        var images = ImagePreparer.Prepare(Samples.Images(60) with { Sizes = new(60, 2, 18, 18, 59), Corrupt = new(2, 0.03, ["a/1.png"]) }, TrainingSettings.From(Samples.Input));
        Findings(images).ShouldBe(["2 items could not be read and were left out, such as a/1.png.", "The images are of different sizes (2 among 60 looked at). All were made 18 × 18, the most frequent (59 of 60); data.image names another."]);
        images.Report.Sizes!.Different.ShouldBe(2);
        Findings(ImagePreparer.Prepare(Samples.Images(60), TrainingSettings.From(Samples.Input))).ShouldBeEmpty();

        static string[] Findings(PreparedData data) => [.. TrainingLog.Findings(data)];
    }

    [Fact]
    public void Smote_makes_rows_of_small_classes_between_their_neighbours()
    {
        var random = new Random(1);
        var lines = Enumerable.Range(0, 120).Select(i => i < 100 ? $"{random.NextDouble():R},{random.NextDouble():R},red,many" : $"{5 + random.NextDouble():R},{5 + random.NextDouble():R},blue,few").Prepend("x,y,colour,label");
        var path = _folder.File("t.csv");
        File.WriteAllLines(path, lines);
        var data = Prepare(path, new() { Balance = BalanceMode.Smote, Columns = new Dictionary<string, ColumnPreparation> { ["*"] = new() { Scaling = NumberScaling.None } } });
        var classes = data.Examples.Targets.Classes!;
        data.Examples.Split.Train.CountBy(i => classes[i]).Select(c => c.Value).Distinct().Single().ShouldBe(90);
        data.Report.Synthetic.ShouldBe(72);
        var values = ((NumberInputs)data.Examples.Inputs).Values;
        foreach (var made in data.Examples.Split.Train.Where(i => i >= 120))
        {
            values[made * 4].ShouldBeInRange(5, 6);
            values.AsSpan(made * 4 + 2, 2).ToArray().ShouldBe([1f, 0f], "a category is one of those that there are");
        }

        data.Examples.Split.Validation.ShouldAllBe(i => i < 120);
    }

    [Fact]
    public void Balanced_sampling_draws_every_class_equally_often()
    {
        var targets = ExampleTargets.OfClasses([.. Enumerable.Range(0, 100).Select(i => i < 90 ? 0 : 1)], ["a", "b"]);
        var data = new ExampleSet { Inputs = new NumberInputs(new float[100], TensorShape.Row(1)), Targets = targets, Split = new([.. Enumerable.Range(0, 100)], []) };
        EpochOrder.Of(data, balanced: true, 1, 1).CountBy(i => targets.Classes![i]).ShouldAllBe(c => c.Value == 50);
        EpochOrder.Of(data, balanced: false, 1, 1).Order().ShouldBe(Enumerable.Range(0, 100));
        EpochOrder.Of(data, false, 1, 2).ShouldNotBe(EpochOrder.Of(data, false, 1, 1));
    }

    [Fact]
    public void Alternating_flips_show_each_image_both_ways_in_two_epochs()
    {
        var variation = ImageVariation.For(new() { Flip = FlipMode.Alternating })!;
        byte[] image = [1, 2, 3, 4];
        var first = new List<string>();
        for (var i = 0; i < 40; i++)
        {
            var seen = new HashSet<string>();
            for (var epoch = 1; epoch <= 2; epoch++)
            {
                var varied = new byte[4];
                variation.Apply(image, varied, 1, 1, 4, i, 5, epoch);
                seen.Add(string.Join(',', varied));
                if (epoch == 1)
                    first.Add(seen.Single());
            }

            seen.ShouldBe(["1,2,3,4", "4,3,2,1"], ignoreOrder: true);
        }

        first.Distinct().Count().ShouldBe(2, "half begin one way, half the other");
    }

    [Fact]
    public void Shifts_reflect_the_edges_and_cutout_blanks_a_square()
    {
        var image = Enumerable.Range(0, 36).Select(i => (byte)i).ToArray();
        var shifted = new byte[36];
        var shifts = ImageVariation.For(new() { Crop = 2 })!;
        var seen = new HashSet<byte>();
        for (var i = 0; i < 200; i++)
        {
            shifts.Apply(image, shifted, 1, 6, 6, i, 1, 1);
            shifted.ShouldAllBe(v => v < 36);
            seen.Add(shifted[14]);
        }

        seen.Count.ShouldBe(25, "up to two pixels in each direction");
        ImageVariation.For(new() { Cutout = 2 })!.Apply(image, shifted, 1, 6, 6, 3, 1, 1);
        shifted.Count(v => v == 127).ShouldBeInRange(1, 4);
        var turned = new byte[36];
        ImageVariation.For(new() { Rotation = 180 })!.Apply([.. Enumerable.Repeat((byte)9, 36)], turned, 1, 6, 6, 3, 1, 1);
        turned.ShouldAllBe(v => v == 9);
    }

    [Theory]
    [InlineData("a,b\n1,x\n2,y\n", "target", "column_not_found", "'a', 'b'")]
    [InlineData("a,label\n1,x\n2,x\n3,x\n", null, "dataset_one_class", "nothing to learn")]
    [InlineData("a,label\n1,x\n2,y\nthree,x\n4,y\n5,x\n6,y\n7,x\n8,y\n9,x\n10,y\n11,x\n12,y\n", null, "column_invalid", "row 3 has 'three'")]
    [InlineData("a,label\n1,\n2,\n", null, "dataset_empty", "None of the 2 rows")]
    [InlineData("label\nx\ny\n", null, "column_not_found", "nothing to learn from")]
    public void A_table_that_cannot_be_used_says_why(string csv, string? target, string code, string words)
    {
        var path = _folder.File("t.csv");
        File.WriteAllText(path, csv);
        Samples.ShouldFail(() => Prepare(path, new() { Target = target }), code).Message.ShouldContain(words);
    }

    [Fact]
    public async Task A_table_a_text_and_arrays_are_trained_from_file_to_checked_model()
    {
        var random = new Random(2);
        var csv = _folder.File("t.csv");
        File.WriteAllLines(csv, Enumerable.Range(0, 300).Select(_ => (X: random.NextDouble(), Y: random.NextDouble())).Select(p => $"{p.X:R},{p.Y:R},{3 * p.X - 2 * p.Y + 10:R}").Prepend("x,z,price"));
        var regression = await RunAsync(csv, Samples.Input with { Epochs = 30, LearningRate = 0.01 });
        regression.Final.R2!.Value.ShouldBeGreaterThan(0.9);
        regression.Data.Pipeline.Postprocess!.Values!.Offset!.Value.ShouldBe(10.5, 0.3);
        var texts = _folder.File("t.jsonl");
        File.WriteAllLines(texts, Enumerable.Range(0, 200).Select(i => $$"""{"text":"{{(i % 2 == 0 ? "good fine great" : "bad awful poor")}} {{random.Next(50)}}","label":"{{(i % 2 == 0 ? "pos" : "neg")}}"}"""));
        foreach (var preset in (string[])["text-cnn", "transformer-small", "lstm"])
        {
            var text = await RunAsync(texts, Samples.Input with { Preset = preset, Epochs = 3, Data = new() { Tokens = new() { Length = 8 } } });
            text.Final.Accuracy.ShouldBeGreaterThan(0.9, preset);
            text.Labels.ShouldBe(["neg", "pos"]);
        }

        var several = _folder.File("m.jsonl");
        File.WriteAllLines(several, Enumerable.Range(0, 200).Select(i => $$"""{"text":"{{(i % 2 == 0 ? "sun" : "rain")}} {{(i % 3 == 0 ? "wind" : "calm")}} {{i}}","label":["{{(i % 2 == 0 ? "dry" : "wet")}}"{{(i % 3 == 0 ? ",\"windy\"" : "")}}]}"""));
        var labels = await RunAsync(several, Samples.Input with { Task = TrainingTask.MultiLabel, Epochs = 4, Data = new() { Tokens = new() { Length = 6 } } });
        labels.Labels.ShouldBe(["dry", "wet", "windy"]);
        labels.Final.Accuracy.ShouldBeGreaterThan(0.9);
    }

    private PreparedData Prepare(string path, DataPreparation data, int? limit = null) =>
        DataPreparer.Prepare(new() { Settings = TrainingSettings.From(Samples.Input with { Data = data, Limit = limit }), DatasetZipPath = path, WorkFolder = _folder.File("work") }, default);

    private Task<TrainingArtifacts> RunAsync(string path, TrainingInput input) =>
        new TrainingRun().ExecuteAsync(new() { Settings = TrainingSettings.From(input with { BatchSize = 16 }), DatasetZipPath = path, WorkFolder = _folder.File("work") }, (_, _) => default);
}
