using QueueMaaS.Contracts;
using QueueMaaS.Inference.Preparation.Answers;

namespace QueueMaaS.Inference.Evaluation;

/// <summary>What of a model's outputs is evaluated, and how it is read.</summary>
/// <param name="Task">Labels or a number.</param>
/// <param name="Output">The output's place in the model's order.</param>
/// <param name="Names">The labels; for numbers empty.</param>
/// <param name="Scores">How the output's numbers become probabilities; null where its numbers are to tell.</param>
/// <param name="Values">How the output's number becomes the value.</param>
internal sealed record EvaluatedHead(EvaluationTask Task, int Output, IReadOnlyList<string> Names, ScoreFunction? Scores, ValueAnswer? Values)
{
    private const int MostLabels = 100_000;
    private const double UsualThreshold = 0.5;

    /// <summary>Several labels: for each from which probability it is said.</summary>
    public double[] Thresholds { get; private init; } = [];

    /// <summary>Finds it.</summary>
    /// <param name="model">Its name, for messages.</param>
    /// <param name="signature">Its outputs.</param>
    /// <param name="pipeline">What they mean, where that is known.</param>
    /// <param name="input">What an evaluation says of it.</param>
    /// <exception cref="ProblemException"><c>evaluation_unsupported</c>, <c>label_unknown</c> or <c>invalid_value</c>.</exception>
    public static EvaluatedHead Of(string model, ModelSignature signature, ModelPipeline? pipeline, EvaluationInput? input = null)
    {
        if (pipeline is not null && PipelineAnswers.LabelsOf(pipeline) is { } labels)
        {
            var own = labels.Scores switch
            {
                ScoreFunction.Sigmoid => EvaluationTask.MultiLabel,
                ScoreFunction.Softmax => EvaluationTask.Classification,
                _ => input?.Task ?? EvaluationTask.Classification,
            };
            Require(model, own, input, own == EvaluationTask.MultiLabel ? "its pipeline gives each label a probability of its own (`sigmoid`)" : "its pipeline gives one label out of several (`softmax`)");
            return new EvaluatedHead(own, Place(signature, labels.Output), pipeline.Labels!, labels.Scores, null).WithThresholds(model, labels.Threshold, input);
        }

        if (pipeline?.Postprocess?.Values is { } values)
        {
            Require(model, EvaluationTask.Regression, input, "its pipeline gives numbers");
            return new(EvaluationTask.Regression, Place(signature, values.Output), [], null, values);
        }

        if (pipeline?.Postprocess is { } other && (other.Detections ?? (object?)other.Embeddings) is not null)
            throw Unsupported(model, other.Detections is null ? "gives embeddings" : "gives objects with boxes");
        return OfNumbers(model, signature.Outputs[0], input).WithThresholds(model, null, input);
    }

    /// <summary>Finds it; null where the model gives neither labels nor a number.</summary>
    public static EvaluatedHead? Find(string model, ModelSignature signature, ModelPipeline? pipeline)
    {
        try
        {
            return Of(model, signature, pipeline);
        }
        catch (ProblemException exception) when (exception.Problem.Code == ProblemCodes.EvaluationUnsupported)
        {
            return null;
        }
    }

    /// <summary>Of a model whose pipeline does not say what its numbers mean.</summary>
    private static EvaluatedHead OfNumbers(string model, TensorSignature output, EvaluationInput? input)
    {
        if (output.Datatype == Datatypes.Bytes)
            throw Unsupported(model, $"gives texts in its output '{output.Name}'");
        var width = output.Shape.Skip(1).Aggregate(1L, static (all, size) => all < 0 || size < 0 ? -1 : all * size);
        if (width is < 1 or > MostLabels || (width > 1 && output.Shape.Count != 2))
            throw Unsupported(model, $"gives [{string.Join(", ", output.Shape.Select(static s => s < 0 ? "any" : $"{s}"))}] in its output '{output.Name}' and has no pipeline that says what it means");
        var task = input?.Task == EvaluationTask.MultiLabel ? EvaluationTask.MultiLabel : width == 1 ? EvaluationTask.Regression : EvaluationTask.Classification;
        Require(model, task, input, width == 1 ? "it gives one number for an item" : $"it gives {width} numbers for an item");
        return new(task, 0, task == EvaluationTask.Regression ? [] : Named(model, (int)width, input), null, null);
    }

    private static IReadOnlyList<string> Named(string model, int width, EvaluationInput? input)
    {
        if (input?.Labels is not { } names)
            return [.. Enumerable.Range(0, width).Select(static i => $"{i}")];
        return names.Count == width
            ? names
            : throw new ProblemException(ProblemCodes.InvalidValue, $"`labels` has {names.Count} names, but model `{model}` gives {width} numbers for an item. Give one name for each, in their order.", ("path", "input.labels"), ("numbers", width));
    }

    private EvaluatedHead WithThresholds(string model, double? own, EvaluationInput? input)
    {
        if (Task != EvaluationTask.MultiLabel)
            return this;
        if (input?.Thresholds?.Keys.FirstOrDefault(name => !Names.Contains(name, StringComparer.Ordinal)) is { } unknown)
            throw UnknownLabel(model, "`thresholds` names the label", unknown, "input.thresholds");
        return this with { Thresholds = [.. Names.Select(name => input?.Thresholds?.TryGetValue(name, out var single) == true ? single : input?.Threshold ?? own ?? UsualThreshold)] };
    }

    /// <summary>A label that the model has never seen.</summary>
    public ProblemException UnknownLabel(string model, string where, string label, string? path = null) => new(
        ProblemCodes.LabelUnknown,
        $"{where} '{Short(label)}', which model `{model}` has never seen; it knows {string.Join(", ", Names.Take(20).Select(static n => $"'{Short(n)}'"))}{(Names.Count > 20 ? ", …" : "")}.",
        [("label", Short(label)), ("labels", Names.Take(100).ToArray()), .. path is null ? [] : new (string, object?)[] { ("path", path) }]);

    public static string Short(string? text) => text is null ? "" : text.Length <= 60 ? text : text[..60] + "…";

    private static void Require(string model, EvaluationTask own, EvaluationInput? input, string why)
    {
        if (input?.Task is { } asked && asked != own)
            throw new ProblemException(ProblemCodes.EvaluationUnsupported, $"Model `{model}` cannot be evaluated as `{Name(asked)}`: {why}. Leave `task` out, or register a version whose pipeline says otherwise.", ("model", model), ("path", "input.task"));
    }

    private static string Name(EvaluationTask task) => task switch
    {
        EvaluationTask.MultiLabel => "multiLabel",
        EvaluationTask.Regression => "regression",
        _ => "classification",
    };

    private static ProblemException Unsupported(string model, string what) => new(
        ProblemCodes.EvaluationUnsupported,
        $"Model `{model}` {what}; models that give labels, or one number, can be evaluated. Register a version whose pipeline has `labels` or `postprocess.values`.", ("model", model));

    private static int Place(ModelSignature signature, string? output) => output is null ? 0 : Math.Max(0, signature.Outputs.Index().FirstOrDefault(o => o.Item.Name == output).Index);
}
