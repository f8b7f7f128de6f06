using QueueMaaS.Contracts;
using QueueMaaS.Inference.Batching;
using QueueMaaS.Inference.Evaluation;
using QueueMaaS.Inference.Preparation.Answers;

namespace QueueMaaS.Inference.Traffic;

/// <summary>Two versions' answers to one request.</summary>
/// <param name="Rows">Rows whose likeliest labels were compared.</param>
/// <param name="Agreeing">Those for which both say the same.</param>
/// <param name="Numbers">Numbers compared.</param>
/// <param name="SumDeviation">The sum of their absolute differences.</param>
/// <param name="MaxDeviation">The greatest of them.</param>
internal readonly record struct ShadowComparison(long Rows, long Agreeing, long Numbers, double SumDeviation, double MaxDeviation)
{
    public static ShadowComparison Of(EvaluatedHead? head, BatchResponse answer, EvaluatedHead? shadowHead, BatchResponse shadowed)
    {
        var (rows, agreeing) = Labels(Said(head, answer), Said(shadowHead, shadowed));
        var (numbers, sum, max) = (0L, 0.0, 0.0);
        foreach (var output in answer.Outputs)
        {
            var other = shadowed.Outputs.FirstOrDefault(o => o.Name == output.Name);
            if (other is null || output.Datatype.IsText || other.Datatype.IsText || !other.Shape.AsSpan().SequenceEqual(output.Shape))
                continue;
            foreach (var (one, two) in OutputNumbers.ToDouble(output).Zip(OutputNumbers.ToDouble(other)))
            {
                var difference = Math.Abs(one - two);
                if (!double.IsFinite(difference))
                    continue;
                numbers++;
                sum += difference;
                max = Math.Max(max, difference);
            }
        }

        return new(rows, agreeing, numbers, sum, max);
    }

    private static (long Rows, long Agreeing) Labels(string[]? one, string[]? other) =>
        one is null || other is null || one.Length != other.Length ? (0, 0) : (one.Length, one.Zip(other).Count(static pair => pair.First == pair.Second));

    /// <summary>The likeliest label of each row; null where the version gives no labels.</summary>
    private static string[]? Said(EvaluatedHead? head, BatchResponse answer)
    {
        if (head is not { Task: EvaluationTask.Classification })
            return null;
        var numbers = OutputNumbers.ToSingle(answer.Outputs[head.Output]);
        var width = head.Names.Count;
        if (width == 0 || numbers.Length % width != 0)
            return null;
        var said = new string[numbers.Length / width];
        for (var row = 0; row < said.Length; row++)
            said[row] = head.Names[System.Numerics.Tensors.TensorPrimitives.IndexOfMax(numbers.AsSpan(row * width, width))];
        return said;
    }
}
