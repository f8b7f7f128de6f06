using QueueMaaS.Data.Loading;
using QueueMaaS.Training.Running;
using QueueMaaS.Training.Specification;
using TorchSharp;
using static TorchSharp.torch.nn.functional;

namespace QueueMaaS.Training.Evaluation;

/// <summary>How a model does on images it was not trained on.</summary>
/// <param name="Loss">Mean cross-entropy.</param>
/// <param name="Accuracy">Share classified right.</param>
/// <param name="ConfusionMatrix">Counts by true class (row) and predicted class (column).</param>
public sealed record EvaluationResult(double Loss, double Accuracy, IReadOnlyList<IReadOnlyList<int>> ConfusionMatrix);

/// <summary>Classifies images and counts.</summary>
public static class ImageEvaluator
{
    private const int BatchSize = 256;

    /// <summary>Evaluates on the images at <paramref name="indexes"/>.</summary>
    public static EvaluationResult Evaluate(BuiltModel model, LabelledImages data, int[] indexes, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(data);
        ArgumentNullException.ThrowIfNull(indexes);
        var device = model.Device;
        var matrix = new int[data.Classes.Count][];
        for (var i = 0; i < matrix.Length; i++)
            matrix[i] = new int[matrix.Length];
        double loss = 0;
        var right = 0;
        foreach (var batch in BatchFeed.Read(data, indexes, BatchSize, cancellationToken))
        {
            cancellationToken.ThrowIfCancellationRequested();
            using var scope = torch.NewDisposeScope();
            using var noGradients = torch.no_grad();
            var input = batch.Input(data, device);
            var labels = batch.Target(device);
            var logits = model.Forward(input);
            loss += (double)cross_entropy(logits, labels).cpu().data<float>()[0] * batch.Count;
            var predicted = logits.argmax(1).cpu().data<long>().ToArray();
            for (var i = 0; i < predicted.Length; i++)
            {
                matrix[batch.Labels[i]][predicted[i]]++;
                if (predicted[i] == batch.Labels[i])
                    right++;
            }
        }

        return new(loss / Math.Max(1, indexes.Length), (double)right / Math.Max(1, indexes.Length), matrix);
    }
}
