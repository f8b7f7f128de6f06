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

    /// <summary>Finds it.</summary>
    /// <exception cref="ProblemException"><c>evaluation_unsupported</c>.</exception>
    public static EvaluatedHead Of(string model, ModelSignature signature, ModelPipeline? pipeline)
    {
        if (pipeline is not null && PipelineAnswers.LabelsOf(pipeline) is { } labels)
        {
            return labels.Scores == ScoreFunction.Sigmoid
                ? throw Unsupported(model, "gives several labels at once (sigmoid scores)")
                : new(EvaluationTask.Classification, Place(signature, labels.Output), pipeline.Labels!, labels.Scores, null);
        }

        if (pipeline?.Postprocess?.Values is { } values)
            return new(EvaluationTask.Regression, Place(signature, values.Output), [], null, values);
        if (pipeline?.Postprocess is { } other && (other.Detections ?? (object?)other.Embeddings) is not null)
            throw Unsupported(model, other.Detections is null ? "gives embeddings" : "gives objects with boxes");
        var output = signature.Outputs[0];
        if (output.Datatype == Datatypes.Bytes)
            throw Unsupported(model, $"gives texts in its output '{output.Name}'");
        var width = output.Shape.Skip(1).Aggregate(1L, static (all, size) => all < 0 || size < 0 ? -1 : all * size);
        return width switch
        {
            1 => new(EvaluationTask.Regression, 0, [], null, null),
            > 1 and <= MostLabels when output.Shape.Count == 2 => new(EvaluationTask.Classification, 0, [.. Enumerable.Range(0, (int)width).Select(static i => $"{i}")], null, null),
            _ => throw Unsupported(model, $"gives [{string.Join(", ", output.Shape.Select(static s => s < 0 ? "any" : $"{s}"))}] in its output '{output.Name}' and has no pipeline that says what it means"),
        };
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

    private static ProblemException Unsupported(string model, string what) => new(
        ProblemCodes.EvaluationUnsupported,
        $"Model `{model}` {what}; models that give one label out of several, or one number, can be evaluated. Register a version whose pipeline has `labels` or `postprocess.values`.", ("model", model));

    private static int Place(ModelSignature signature, string? output) => output is null ? 0 : Math.Max(0, signature.Outputs.Index().FirstOrDefault(o => o.Item.Name == output).Index);
}
