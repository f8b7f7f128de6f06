using System.Runtime.InteropServices;
using QueueMaaS.Contracts;
using QueueMaaS.Training.Feeding;
using QueueMaaS.Training.Optimisation;
using QueueMaaS.Training.Specification;
using TorchSharp;

namespace QueueMaaS.Training.Evaluation;

/// <summary>How a model does on items it was not trained on.</summary>
/// <param name="Loss">The mean loss.</param>
/// <param name="Accuracy">Classification: share classified right; multi-label: share of labels right; else 0.</param>
/// <param name="ConfusionMatrix">Counts by true class (row) and predicted class (column); empty without classes.</param>
public sealed record EvaluationResult(double Loss, double Accuracy, IReadOnlyList<IReadOnlyList<int>> ConfusionMatrix)
{
    /// <summary>Regression and autoencoding: the mean absolute difference, in units of the target.</summary>
    public double? Error { get; init; }
    /// <summary>Regression: the share of the variance that is explained.</summary>
    public double? R2 { get; init; }

    /// <summary>Classification: the mean over the classes of the share of their items that is classified right, so that a large class counts no more than a small one. Classes without items are left out.</summary>
    public double? BalancedAccuracy => OverClasses(static (right, items, _) => (double)right / items);

    /// <summary>Classification: the mean over the classes of the harmonic mean of precision and recall. Classes without items are left out.</summary>
    public double? MacroF1 => OverClasses(static (right, items, predicted) => 2.0 * right / (items + predicted));

    /// <param name="figure">Of a class: its items classified right, its items, and the items taken for it.</param>
    private double? OverClasses(Func<int, int, int, double> figure)
    {
        var (sum, classes) = (0.0, 0);
        for (var c = 0; c < ConfusionMatrix.Count; c++)
        {
            if (ConfusionMatrix[c].Sum() is not (> 0 and var items))
                continue;
            classes++;
            sum += figure(ConfusionMatrix[c][c], items, ConfusionMatrix.Sum(row => row[c]));
        }

        return classes == 0 ? null : sum / classes;
    }
}

/// <summary>Runs a model over items and counts.</summary>
internal static class ModelEvaluator
{
    private const int BatchSize = 256;

    /// <summary>Evaluates on the items at <paramref name="indexes"/>, unvaried.</summary>
    public static EvaluationResult Evaluate(BuiltModel model, ExampleSet data, LossFunction loss, int[] indexes, CancellationToken cancellationToken)
    {
        var tally = new Tally(data.Targets);
        double sum = 0;
        foreach (var batch in new BatchFeed(data, BatchSize).Read(indexes, cancellationToken: cancellationToken))
        {
            cancellationToken.ThrowIfCancellationRequested();
            using var scope = torch.NewDisposeScope();
            using var noGradients = torch.no_grad();
            var output = model.Forward(data.Inputs.ToTensor(batch.Inputs.AsSpan(0, batch.Count * data.Inputs.Width), batch.Count, model.Device));
            sum += (double)First(loss.Compute(output, batch)) * batch.Count;
            tally.Add(batch, MemoryMarshal.Cast<byte, float>(output.flatten(1).cpu().contiguous().bytes));
        }

        return tally.Result(sum / Math.Max(1, indexes.Length), indexes.Length);
    }

    /// <summary>How many of a batch are right, while training: items (classification) or labels.</summary>
    public static double Right(torch.Tensor output, ExampleBatch batch, ExampleTargets targets) => targets.Task switch
    {
        TrainingTask.Classification => RightClasses(output, batch, targets.Outputs),
        TrainingTask.MultiLabel => RightLabels(MemoryMarshal.Cast<byte, float>(output.detach().cpu().contiguous().bytes), batch, targets.Outputs),
        _ => 0,
    };

    public static float First(torch.Tensor tensor) => MemoryMarshal.Cast<byte, float>(tensor.detach().cpu().bytes)[0];

    private static double RightClasses(torch.Tensor output, ExampleBatch batch, int outputs)
    {
        var predicted = MemoryMarshal.Cast<byte, long>(output.argmax(1).cpu().contiguous().bytes);
        double right = 0;
        for (var i = 0; i < batch.Count; i++)
            right += batch.InRows ? batch.Rows[i * outputs + (int)predicted[i]] : predicted[i] == batch.Classes[i] ? 1 : 0;
        return right;
    }

    private static double RightLabels(ReadOnlySpan<float> output, ExampleBatch batch, int outputs)
    {
        double right = 0;
        for (var i = 0; i < batch.Count * outputs; i++)
            right += output[i] > 0 == batch.Rows[i] > 0.5f ? 1.0 / outputs : 0;
        return right;
    }

    private sealed class Tally(ExampleTargets targets)
    {
        private readonly int[][] _matrix = targets.Task == TrainingTask.Classification ? [.. Enumerable.Range(0, targets.Outputs).Select(_ => new int[targets.Outputs])] : [];
        private double _right;
        private double _absolute;
        private double _squared;
        private double _sum;
        private double _sumOfSquares;

        public void Add(ExampleBatch batch, ReadOnlySpan<float> output)
        {
            if (targets.Task == TrainingTask.MultiLabel)
                _right += RightLabels(output, batch, targets.Outputs);
            else if (targets.Task == TrainingTask.Classification)
                AddClasses(batch, output);
            else
                AddNumbers(batch, output);
        }

        public EvaluationResult Result(double loss, int items)
        {
            var result = new EvaluationResult(loss, _right / Math.Max(1, items), _matrix);
            if (targets.Task is TrainingTask.Classification or TrainingTask.MultiLabel)
                return result;
            var numbers = (double)items * targets.Outputs;
            var variance = _sumOfSquares - _sum * _sum / Math.Max(1, numbers);
            return result with
            {
                Error = _absolute / Math.Max(1, numbers) * targets.Deviation,
                R2 = targets.Task == TrainingTask.Regression && variance > 0 ? 1 - _squared / variance : null,
            };
        }

        private void AddClasses(ExampleBatch batch, ReadOnlySpan<float> output)
        {
            for (var i = 0; i < batch.Count; i++)
            {
                var row = output.Slice(i * targets.Outputs, targets.Outputs);
                var best = 0;
                for (var c = 1; c < row.Length; c++)
                {
                    if (row[c] > row[best])
                        best = c;
                }

                _matrix[batch.Classes[i]][best]++;
                _right += best == batch.Classes[i] ? 1 : 0;
            }
        }

        private void AddNumbers(ExampleBatch batch, ReadOnlySpan<float> output)
        {
            for (var i = 0; i < batch.Count * targets.Outputs; i++)
            {
                double wanted = batch.Rows[i];
                var difference = wanted - output[i];
                _absolute += Math.Abs(difference);
                _squared += difference * difference;
                _sum += wanted;
                _sumOfSquares += wanted * wanted;
            }
        }
    }
}
