using QueueMaaS.Contracts;
using QueueMaaS.Inference.Tensors;

namespace QueueMaaS.Inference.Preparation.Answers;

/// <summary>Holds labels and postprocessing against the model's outputs.</summary>
internal static class AnswerCheck
{
    private const int MaxLabels = 1_000_000;

    /// <summary>The first fault, or null where there is none.</summary>
    public static PipelineFault? Find(ModelSignature signature, ModelPipeline pipeline)
    {
        var settings = pipeline.Postprocess;
        return LabelList(pipeline)
            ?? (PipelineAnswers.LabelsOf(pipeline) is { } labels ? Labels(signature, pipeline, labels) : null)
            ?? (settings?.Labels is not null && pipeline.Labels is null ? At("labels", "it needs the names of the classes; give them in `pipeline.labels`.") : null)
            ?? (settings?.Detections is { } detections ? Detections(signature, pipeline, detections) : null)
            ?? (settings?.Values is { } values ? Values(signature, values) : null)
            ?? (settings?.Embeddings is { } embeddings ? Embeddings(signature, embeddings) : null);
    }

    private static PipelineFault? LabelList(ModelPipeline pipeline)
    {
        if (pipeline.Labels is not { } labels)
            return null;
        if (labels.Count is 0 or > MaxLabels || labels.Any(string.IsNullOrEmpty))
            return new("pipeline.labels", $"give 1 to {MaxLabels} labels, none of them empty, or leave it out.");
        var twice = labels.GroupBy(l => l, StringComparer.Ordinal).FirstOrDefault(g => g.Count() > 1);
        return twice is null ? null : new("pipeline.labels", $"the label '{twice.Key}' is given {twice.Count()} times; each class needs a name of its own.");
    }

    private static PipelineFault? Labels(ModelSignature signature, ModelPipeline pipeline, LabelAnswer settings)
    {
        if (Output(signature, settings.Output, "labels.output", out var output) is { } fault)
            return fault;
        if (output.Shape.Count == 0 || (output.Shape[^1] >= 0 && output.Shape[^1] != pipeline.Labels!.Count))
            return new("pipeline.labels", $"there are {pipeline.Labels!.Count} labels, but the model's output is {Describe(output)}. Give one label for each number of its last axis, in order.");
        if (settings.TopK is < 1 or > InferenceRequestCheck.MaxTopK)
            return At("labels.topK", $"it is {settings.TopK}; give 1 to {InferenceRequestCheck.MaxTopK}.");
        return settings.Threshold is { } threshold && !double.IsFinite(threshold) ? At("labels.threshold", "give a number.") : null;
    }

    private static PipelineFault? Detections(ModelSignature signature, ModelPipeline pipeline, DetectionAnswer settings)
    {
        if (pipeline.Image is null)
            return At("detections", "objects are found in images; give `pipeline.image` too.");
        if (settings.ScoreThreshold is not (>= 0 and <= 1))
            return At("detections.scoreThreshold", "give a number from 0 to 1.");
        if (settings.IouThreshold is not (>= 0 and <= 1))
            return At("detections.iouThreshold", "give a number from 0 to 1.");
        if (settings.MaxDetections is < 1 or > 10_000)
            return At("detections.maxDetections", "give a whole number from 1 to 10,000.");
        if (Output(signature, settings.Boxes, "detections.boxes", out var boxes) is { } fault)
            return fault;
        return settings.Layout == DetectionLayout.Separate ? Separate(signature, pipeline, settings, boxes) : Single(pipeline, settings, boxes);
    }

    private static PipelineFault? Separate(ModelSignature signature, ModelPipeline pipeline, DetectionAnswer settings, TensorSignature boxes)
    {
        if (settings.Objectness)
            return At("detections.objectness", "it stands in single outputs only; leave it out, or give another `layout`.");
        if (!Fits(boxes, -1, -1, 4))
            return At("detections.boxes", $"the output is {Describe(boxes)}; boxes are [N, M, 4].");
        if (settings.Scores is null)
            return At("detections.scores", "name the output with the scores, or give the `layout` of a single output.");
        if (Output(signature, settings.Scores, "detections.scores", out var scores) is { } fault)
            return fault;
        if (settings.Classes is null)
            return Fits(scores, -1, boxes.Shape[1], pipeline.Labels?.Count ?? -1) ? null : At("detections.scores", $"the output is {Describe(scores)}; scores are [N, M, classes]{Classes(pipeline)}.");
        if (!Fits(scores, -1, boxes.Shape[1]))
            return At("detections.scores", $"the output is {Describe(scores)}; with `classes`, scores are [N, M].");
        if (Output(signature, settings.Classes, "detections.classes", out var classes) is { } missing)
            return missing;
        return Fits(classes, -1, boxes.Shape[1]) ? null : At("detections.classes", $"the output is {Describe(classes)}; classes are [N, M].");
    }

    private static PipelineFault? Single(ModelPipeline pipeline, DetectionAnswer settings, TensorSignature output)
    {
        if (settings.Scores is not null || settings.Classes is not null)
            return At("detections.scores", "a single output holds scores and classes too; leave out `scores` and `classes`, or give the `layout` `separate`.");
        var first = settings.Objectness ? 5 : 4;
        var fields = pipeline.Labels is null ? -1 : first + pipeline.Labels.Count;
        var fits = settings.Layout == DetectionLayout.FieldsFirst ? Fits(output, -1, fields, -1) : Fits(output, -1, -1, fields);
        var axis = settings.Layout == DetectionLayout.FieldsFirst ? 1 : 2;
        if (fits && output.Shape[axis] is -1 or > 5)
            return null;
        return fits && output.Shape[axis] > first
            ? null
            : At("detections.layout", $"the output is {Describe(output)}; with this layout it is {(axis == 1 ? $"[N, {first} + classes, M]" : $"[N, M, {first} + classes]")}{Classes(pipeline)}. Check `layout`, `objectness` and the labels.");
    }

    private static PipelineFault? Values(ModelSignature signature, ValueAnswer settings)
    {
        if (Output(signature, settings.Output, "values.output", out _) is { } fault)
            return fault;
        if (settings.Scale is { } scale && (!double.IsFinite(scale) || scale == 0))
            return At("values.scale", "give a number other than 0.");
        return settings.Offset is { } offset && !double.IsFinite(offset) ? At("values.offset", "give a number.") : null;
    }

    private static PipelineFault? Embeddings(ModelSignature signature, EmbeddingAnswer settings)
    {
        if (Output(signature, settings.Output, "embeddings.output", out var output) is { } fault)
            return fault;
        return output.Shape.Count == 2 ? null : At("embeddings.output", $"the output is {Describe(output)}; embeddings are [N, size]. Pool the tokens inside the model when exporting.");
    }

    private static PipelineFault? Output(ModelSignature signature, string? name, string member, out TensorSignature output)
    {
        output = (name is null ? signature.Outputs is [var first, ..] ? first : null : signature.Outputs.FirstOrDefault(o => o.Name == name))!;
        if (output is null)
            return At(member, $"the model has no output '{name}'; its outputs are {string.Join(", ", signature.Outputs.Select(Describe))}.");
        return output.Datatype == Datatypes.Bytes ? At(member, $"the output is {Describe(output)}, but numbers are needed. Name another output.") : null;
    }

    private static bool Fits(TensorSignature output, params long[] shape) => output.Shape.Count == shape.Length && output.Shape.Zip(shape).All(p => p.First < 0 || p.Second < 0 || p.First == p.Second);

    private static string Classes(ModelPipeline pipeline) => pipeline.Labels is { } labels ? $", and there are {labels.Count} labels" : "";

    private static string Describe(TensorSignature output) => $"'{output.Name}' ({output.Datatype} {TensorBuffer.Describe(output.Shape)})";

    private static PipelineFault At(string member, string message) => new($"pipeline.postprocess.{member}", message);
}
