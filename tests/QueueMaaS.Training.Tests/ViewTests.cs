using QueueMaaS.Contracts;
using QueueMaaS.Training.Running;
using QueueMaaS.Training.Specification;
using QueueMaaS.Training.Specification.Layers;
using TorchSharp;

namespace QueueMaaS.Training.Tests;

/// <summary>Models that answer with the average over several views of an image.</summary>
public sealed class ViewTests
{
    private static readonly ModelSpecification Bare = ModelSpecification.Sequential("v", new Conv2dLayer(3, 3), new FlattenLayer(), new LinearLayer(2));

    [Fact]
    public void The_answer_is_the_weighted_mean_of_what_each_view_gives()
    {
        const int Size = 6;
        using var plain = BuiltModel.Build(Bare, TensorShape.Image(1, Size, Size), 5);
        using var views = BuiltModel.Build(Bare.With(new ViewSettings { Mirror = true, Shift = 1 }), TensorShape.Image(1, Size, Size), 5);
        var random = new Random(4);
        var image = Enumerable.Range(0, Size * Size).Select(_ => random.NextSingle()).ToArray();
        var expected = new double[2];
        foreach (var (shift, share) in (ReadOnlySpan<(int, double)>)[(0, 0.5), (-1, 0.25), (1, 0.25)])
        {
            foreach (var mirror in (bool[])[false, true])
            {
                var seen = new float[image.Length];
                for (var y = 0; y < Size; y++)
                {
                    for (var x = 0; x < Size; x++)
                        seen[y * Size + x] = image[Reflect(y + shift) * Size + Reflect((mirror ? Size - 1 - x : x) + shift)];
                }

                var answer = Answer(plain, seen);
                for (var o = 0; o < 2; o++)
                    expected[o] += share / 2 * answer[o];
            }
        }

        Answer(views, image).Zip(expected).ShouldAllBe(p => Math.Abs(p.First - p.Second) < 1e-5);

        static int Reflect(int at) => at < 0 ? -at : at >= Size ? 2 * (Size - 1) - at : at;
    }

    [Fact]
    public void Other_views_take_the_place_of_those_before_and_none_take_them_away()
    {
        var with = Bare.With(new ViewSettings { Mirror = true });
        with.Nodes.Select(n => n.Id).ShouldBe(["views", "layer1", "layer2", "layer3", "views.average"]);
        with.Nodes[1].From.ShouldBe(["views"]);
        with.With(new ViewSettings { Shift = 2 }).Nodes.Select(n => n.Layer.Description).ShouldBe(["views(shift 2)", .. Bare.Nodes.Select(n => n.Layer.Description), "viewAverage(shift 2)"]);
        var without = with.With(new ViewSettings());
        without.Nodes.Select(n => (n.Id, string.Join(",", n.From))).ShouldBe(Bare.Nodes.Select(n => (n.Id, string.Join(",", n.From))));
    }

    [Fact]
    public void Views_are_refused_for_what_is_no_image_and_for_shifts_out_of_range()
    {
        Samples.ShouldFail(() => TrainingSettings.From(Samples.Input with { Views = new() { Shift = 65 } }), ProblemCodes.InvalidValue).Message.ShouldContain("views.shift");
        var images = new DatasetCard("image-folder", 20, [new("a", 10), new("b", 10)], new Dictionary<string, int>(), 18, 18, 3);
        Samples.ShouldFail(() => Preparation.CardFit.Require(images, TrainingSettings.From(Samples.Input with { Views = new() { Shift = 20 } })), ProblemCodes.SpecificationInvalid).Message.ShouldContain("'shift'");
        Samples.ShouldFail(() => Preparation.CardFit.Require(images, TrainingSettings.From(Samples.Input with { Task = TrainingTask.Autoencoding, Views = new() { Mirror = true } })), ProblemCodes.InvalidValue).Message.ShouldContain("'views'");
        Samples.ShouldFail(() => Preparation.CardFit.Require(images with { Width = 0, Height = 0, Channels = 0, Columns = [] }, TrainingSettings.From(Samples.Input with { Views = new() { Mirror = true } })), ProblemCodes.InvalidValue).Message.ShouldContain("'views'");
        Preparation.CardFit.Require(images, TrainingSettings.From(Samples.Input with { Views = new() { Mirror = true, Shift = 1 } }));
        Samples.ShouldFail(() => ModelSpecification.Sequential("v", new ViewsLayer(true), new LinearLayer(2)).Inputs(TensorShape.Row(5)), ProblemCodes.SpecificationInvalid);
        var settings = TrainingSettings.From(Samples.Input with { Views = new() { Shift = 20 } });
        Samples.ShouldFail(() => new Trainer().Train(Samples.Plan(Samples.Images(20), settings)), ProblemCodes.SpecificationInvalid).Message.ShouldContain("'shift'");
    }

    private static float[] Answer(BuiltModel model, float[] image)
    {
        using var scope = torch.NewDisposeScope();
        using var noGradients = torch.no_grad();
        var size = (long)Math.Sqrt(image.Length);
        return model.Forward(torch.tensor(image, [1, 1, size, size])).data<float>().ToArray();
    }
}
