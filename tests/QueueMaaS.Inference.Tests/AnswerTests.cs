using System.Text.Json;
using QueueMaaS.Contracts;
using QueueMaaS.Inference.Preparation;
using QueueMaaS.Inference.Preparation.Answers;
using QueueMaaS.Inference.Preparation.Images;
using QueueMaaS.Inference.Tensors;

namespace QueueMaaS.Inference.Tests;

/// <summary>What a pipeline makes of outputs: labels, boxes, values, embeddings.</summary>
public sealed class AnswerTests
{
    private static readonly string[] Animals = ["cat", "dog", "owl"];

    [Fact]
    public void Labels_are_ranked_by_softmax_where_nothing_else_is_said()
    {
        var answer = Read(new() { Labels = Animals }, Samples.Floats("y", [2, 3], 1, 3, 2, 1000, 0, 0));

        answer.Labels![0].Select(l => l.Label).ShouldBe(["dog", "owl", "cat"]);
        answer.Labels[0][0].Score.ShouldBe(Math.Exp(2) / (Math.Exp(2) + Math.Exp(1) + 1), 1e-6);
        answer.Labels[1][0].ShouldBe(new LabelScore("cat", 1), "large logits must not overflow");
    }

    [Fact]
    public void Several_labels_at_once_are_those_over_the_threshold()
    {
        var pipeline = new ModelPipeline { Labels = Animals, Postprocess = new() { Labels = new() { Scores = ScoreFunction.Sigmoid, Threshold = 0.5 } } };

        var labels = Read(pipeline, Samples.Floats("y", [2, 3], 2, -2, 1, -1, -1, -1)).Labels!;

        labels[0].Select(l => l.Label).ShouldBe(["cat", "owl"]);
        labels[0][0].Score.ShouldBe(1 / (1 + Math.Exp(-2)), 1e-6);
        labels[1].ShouldBeEmpty();
    }

    [Fact]
    public void The_number_of_labels_is_the_requests_else_the_pipelines_else_three()
    {
        var four = new ModelPipeline { Labels = ["a", "b", "c", "d"] };
        var output = Samples.Floats("y", [1, 4], 1, 2, 3, 4);

        Read(four, output).Labels![0].Count.ShouldBe(3);
        Read(four with { Postprocess = new() { Labels = new() { TopK = 2 } } }, output).Labels![0].Count.ShouldBe(2);
        PipelineAnswers.Read(four, [output], topK: 4, placement: null).Labels![0].Count.ShouldBe(4);
    }

    [Fact]
    public void Boxes_over_the_threshold_are_suppressed_per_class_and_come_back_in_the_images_pixels()
    {
        // A 200 × 100 image letterboxed into 100 × 100: half as large, 25 pixels of filling above and below.
        var placement = new ImagePlacement(200, 100, 0.5, 0.5, 0, 25);
        var pipeline = Detector(new() { Boxes = "boxes", Scores = "scores" });
        var boxes = Samples.Floats("boxes", [1, 4, 4], 10, 35, 30, 55, 11, 35, 31, 55, 10, 35, 30, 55, 60, 30, 70, 40);
        var scores = Samples.Floats("scores", [1, 4, 3], 0.9f, 0, 0, 0.8f, 0, 0, 0, 0.7f, 0, 0, 0, 0.1f);

        var found = PipelineAnswers.Read(pipeline, [boxes, scores], null, placement).Detections!.ShouldHaveSingleItem();

        // The second overlaps the first of its class, the third is of another class, the fourth is too unlikely.
        found.ShouldBe([new Detection("cat", 0, 0.9, new(20, 20, 40, 40)), new Detection("dog", 1, 0.7, new(20, 20, 40, 40))]);
    }

    [Fact]
    public void Overlaps_of_all_classes_count_where_that_is_asked_for_and_none_where_the_model_did_it()
    {
        var boxes = Samples.Floats("boxes", [1, 2, 4], 0, 0, 10, 10, 0, 0, 10, 10);
        var scores = Samples.Floats("scores", [1, 2, 3], 0.9f, 0, 0, 0, 0.8f, 0);
        var settings = new DetectionAnswer { Boxes = "boxes", Scores = "scores" };

        Count(settings with { Suppression = SuppressionMode.Agnostic }).ShouldBe(1);
        Count(settings with { Suppression = SuppressionMode.None }).ShouldBe(2);
        Count(settings with { MaxDetections = 1 }).ShouldBe(1);

        int Count(DetectionAnswer answer) => Read(Detector(answer), boxes, scores).Detections![0].Count;
    }

    [Theory]
    [InlineData(BoxFormat.Xyxy, new[] { 10f, 20, 30, 60 })]
    [InlineData(BoxFormat.Cxcywh, new[] { 20f, 40, 20, 40 })]
    [InlineData(BoxFormat.Xywh, new[] { 10f, 20, 20, 40 })]
    [InlineData(BoxFormat.Yxyx, new[] { 20f, 10, 60, 30 })]
    public void Every_way_to_write_a_box_gives_the_same_one(BoxFormat format, float[] box)
    {
        var scores = Samples.Floats("scores", [1, 1, 3], 0, 0, 0.5f);
        var expected = new Detection("owl", 2, 0.5, new(10, 20, 20, 40));

        Read(Detector(new() { Boxes = "boxes", Scores = "scores", Format = format }), Samples.Floats("boxes", [1, 1, 4], box), scores).Detections![0].ShouldHaveSingleItem().ShouldBe(expected);
        Read(Detector(new() { Boxes = "boxes", Scores = "scores", Format = format, Normalised = true }), Samples.Floats("boxes", [1, 1, 4], [.. box.Select(v => v / 100)]), scores)
            .Detections![0].ShouldHaveSingleItem().Box.X.ShouldBe(10, 1e-3);
    }

    [Fact]
    public void Single_outputs_are_read_with_the_fields_first_or_the_boxes_first()
    {
        // Two boxes: centre, size, three class scores.
        float[][] rows = [[20, 40, 20, 40, 0.1f, 0.6f, 0.2f], [80, 80, 10, 10, 0.9f, 0, 0]];
        float[] boxesFirst = [.. rows[0], .. rows[1]];
        float[] fieldsFirst = [.. Enumerable.Range(0, 7).SelectMany(field => rows.Select(row => row[field]))];
        Detection[] expected = [new("cat", 0, 0.9, new(75, 75, 10, 10)), new("dog", 1, 0.6, new(10, 20, 20, 40))];

        Read(Detector(new() { Layout = DetectionLayout.BoxesFirst, Format = BoxFormat.Cxcywh }), Samples.Floats("y", [1, 2, 7], boxesFirst)).Detections![0].ShouldBe(expected);
        Read(Detector(new() { Layout = DetectionLayout.FieldsFirst, Format = BoxFormat.Cxcywh }), Samples.Floats("y", [1, 7, 2], fieldsFirst)).Detections![0].ShouldBe(expected);
    }

    [Fact]
    public void Objectness_multiplies_the_class_scores()
    {
        var settings = new DetectionAnswer { Layout = DetectionLayout.BoxesFirst, Format = BoxFormat.Cxcywh, Objectness = true };

        var found = Read(Detector(settings), Samples.Floats("y", [1, 2, 8], 20, 40, 20, 40, 0.5f, 0, 0.8f, 0, 80, 80, 10, 10, 0.1f, 1, 0, 0)).Detections![0];

        found.ShouldHaveSingleItem().Score.ShouldBe(0.4, 1e-6);
    }

    [Fact]
    public void Classes_may_come_in_an_output_of_their_own()
    {
        var classes = Samples.Floats("classes", [1, 2], 2, 7);
        var found = Read(
            Detector(new() { Boxes = "boxes", Scores = "scores", Classes = "classes", Suppression = SuppressionMode.None }),
            Samples.Floats("boxes", [1, 2, 4], 0, 0, 10, 10, 20, 20, 30, 30), Samples.Floats("scores", [1, 2], 0.9f, 0.8f), classes).Detections![0];

        found.Select(d => (d.Label, d.Class)).ShouldBe([("owl", 2), (null, 7)]);
    }

    [Fact]
    public void Boxes_are_cut_at_the_edges_of_the_image_and_those_outside_are_left_out()
    {
        var found = Read(
            Detector(new() { Boxes = "boxes", Scores = "scores", Suppression = SuppressionMode.None }),
            Samples.Floats("boxes", [1, 2, 4], -5, 90, 20, 120, 110, 110, 120, 120), Samples.Floats("scores", [1, 2, 3], 0.9f, 0, 0, 0.8f, 0, 0)).Detections![0];

        found.ShouldHaveSingleItem().Box.ShouldBe(new Box(0, 90, 20, 10));
    }

    [Fact]
    public void Values_come_back_in_the_units_of_the_target()
    {
        Read(new() { Postprocess = new() { Values = new() { Scale = 10, Offset = 100 } } }, Samples.Floats("y", [2, 1], 1, -2)).Values!.Select(v => v[0]).ShouldBe([110d, 80]);
        Read(new() { Postprocess = new() { Values = new() { Expm1 = true } } }, Samples.Floats("y", [1, 1], 1)).Values![0][0].ShouldBe(Math.E - 1, 1e-6);
    }

    [Fact]
    public void Embeddings_are_brought_to_length_one_where_that_is_asked_for()
    {
        var rows = Read(new() { Postprocess = new() { Embeddings = new() { Normalise = true } } }, Samples.Floats("y", [2, 2], 3, 4, 0, 0)).Embeddings!;

        rows[0].ShouldBe([0.6, 0.8], 1e-9);
        rows[1].ShouldBe([0d, 0]);
    }

    [Fact]
    public void Numbers_that_are_not_finite_fail_the_answer_with_the_output_named()
    {
        foreach (var postprocess in new Postprocessing?[] { null, new() { Values = new() }, new() { Embeddings = new() } })
            Samples.ShouldFail(() => Read(new() { Labels = postprocess is null ? Animals : null, Postprocess = postprocess }, Samples.Floats("y", [1, 3], 1, float.NaN, 0)), ProblemCodes.ModelExecutionFailed).Message.ShouldContain("'y'");
        Samples.ShouldFail(
            () => Read(Detector(new() { Boxes = "boxes", Scores = "scores" }), Samples.Floats("boxes", [1, 1, 4], float.NaN, 0, 1, 1), Samples.Floats("scores", [1, 1, 3], 1, 0, 0)), ProblemCodes.ModelExecutionFailed);
    }

    [Theory]
    [InlineData("""{"labels":["a","b"]}""", "pipeline.labels")]
    [InlineData("""{"labels":["a","a","b"]}""", "pipeline.labels")]
    [InlineData("""{"labels":[]}""", "pipeline.labels")]
    [InlineData("""{"postprocess":{"labels":{}}}""", "pipeline.postprocess.labels")]
    [InlineData("""{"labels":["a","b","c"],"postprocess":{"labels":{"output":"z"}}}""", "pipeline.postprocess.labels.output")]
    [InlineData("""{"labels":["a","b","c"],"postprocess":{"labels":{"topK":0}}}""", "pipeline.postprocess.labels.topK")]
    [InlineData("""{"postprocess":{"detections":{}}}""", "pipeline.postprocess.detections")]
    [InlineData("""{"image":{"width":2,"height":2,"channels":3},"postprocess":{"detections":{"scoreThreshold":2}}}""", "pipeline.postprocess.detections.scoreThreshold")]
    [InlineData("""{"image":{"width":2,"height":2,"channels":3},"postprocess":{"detections":{"boxes":"y","scores":"y"}}}""", "pipeline.postprocess.detections.boxes")]
    [InlineData("""{"postprocess":{"values":{"scale":0}}}""", "pipeline.postprocess.values.scale")]
    [InlineData("""{"postprocess":{"embeddings":{"output":"none"}}}""", "pipeline.postprocess.embeddings.output")]
    public void Postprocessing_that_does_not_fit_the_model_is_refused_at_registration(string json, string path)
    {
        var signature = new ModelSignature([new("x", Datatypes.Fp32, [-1, 3, 2, 2])], [new("y", Datatypes.Fp32, [-1, 3])]);
        var pipeline = JsonSerializer.Deserialize<ModelPipeline>(json, QueueMaaSJson.Strict)!;

        Samples.ShouldFail(() => PipelineCheck.Check(signature, pipeline), ProblemCodes.PipelineInvalid).Details!["path"].GetString().ShouldBe(path);
    }

    private static ModelPipeline Detector(DetectionAnswer settings) => new() { Image = new(100, 100, 3), Labels = Animals, Postprocess = new() { Detections = settings } };

    private static PipelineAnswers Read(ModelPipeline pipeline, params TensorBuffer[] outputs) => PipelineAnswers.Read(pipeline, outputs, topK: null, placement: null);
}
