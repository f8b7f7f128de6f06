using System.Numerics.Tensors;
using QueueMaaS.Contracts;
using QueueMaaS.Inference.Tensors;

namespace QueueMaaS.Inference.Preparation.Answers;

/// <summary>Turns an output into the likeliest labels.</summary>
internal static class LabelRanking
{
    private const int DefaultTopK = 3;

    /// <summary>Scores along the last axis, then the best of each row, best first; equal scores in label order.</summary>
    /// <exception cref="ProblemException"><c>model_execution_failed</c>: the output does not fit the labels, or is NaN or infinite.</exception>
    public static IReadOnlyList<IReadOnlyList<LabelScore>> Rank(TensorBuffer output, IReadOnlyList<string> labels, LabelAnswer settings, int? topK)
    {
        var values = OutputNumbers.ToSingle(output);
        if (labels.Count == 0 || output.Shape.Length == 0 || output.Shape[^1] != labels.Count)
        {
            throw new ProblemException(
                ProblemCodes.ModelExecutionFailed,
                $"The model has {labels.Count} labels, but its output '{output.Name}' has the shape {TensorBuffer.Describe(output.Shape)}: the last axis must have one number per label. Register a version with the right labels.",
                ("output", output.Name), ("shape", output.Shape), ("labels", labels.Count));
        }

        var count = Math.Min(labels.Count, topK ?? settings.TopK ?? (settings.Threshold is null ? DefaultTopK : InferenceRequestCheck.MaxTopK));
        var rows = new IReadOnlyList<LabelScore>[values.Length / labels.Count];
        var scores = new float[labels.Count];
        for (var row = 0; row < rows.Length; row++)
        {
            Score(values.AsSpan(row * labels.Count, labels.Count), settings.Scores, scores);
            if (!float.IsFinite(TensorPrimitives.Sum<float>(scores)))
                throw OutputNumbers.NotFinite(output.Name, row, "its labels cannot be ranked");
            rows[row] = Best(scores, labels, count, settings.Threshold ?? double.NegativeInfinity);
        }

        return rows;
    }

    /// <summary>Turns numbers into scores.</summary>
    public static void Score(ReadOnlySpan<float> values, ScoreFunction function, Span<float> scores)
    {
        switch (function)
        {
            case ScoreFunction.Softmax:
                // Without the shift, exponentials of logits over 88 overflow single precision.
                TensorPrimitives.Subtract(values, TensorPrimitives.Max(values), scores);
                TensorPrimitives.SoftMax(scores, scores);
                break;
            case ScoreFunction.Sigmoid:
                TensorPrimitives.Sigmoid(values, scores);
                break;
            default:
                values.CopyTo(scores);
                break;
        }
    }

    private static List<LabelScore> Best(ReadOnlySpan<float> scores, IReadOnlyList<string> labels, int count, double threshold)
    {
        var best = new List<LabelScore>(count);
        Span<int> chosen = stackalloc int[count];
        for (var k = 0; k < count; k++)
        {
            var at = -1;
            for (var i = 0; i < scores.Length; i++)
            {
                if ((at < 0 || scores[i] > scores[at]) && !chosen[..k].Contains(i))
                    at = i;
            }

            if (scores[at] < threshold)
                break;
            chosen[k] = at;
            best.Add(new(labels[at], Math.Round(scores[at], 6)));
        }

        return best;
    }
}
