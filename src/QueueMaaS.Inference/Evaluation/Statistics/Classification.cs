using QueueMaaS.Contracts;

namespace QueueMaaS.Inference.Evaluation.Statistics;

/// <summary>The figures of a classification.</summary>
internal static class Classification
{
    private const int Top = 5;

    public static ClassificationFigures Measure(LabelPredictions predictions, IReadOnlyList<string> names, int resamples, int seed, CancellationToken cancellationToken = default)
    {
        var confusion = Confusion(predictions);
        var counts = Counts(confusion, names.Count);
        var classes = new ClassFigures[names.Count];
        for (var label = 0; label < classes.Length; label++)
        {
            cancellationToken.ThrowIfCancellationRequested();
            classes[label] = OfClass(counts, names[label], label, Curves(predictions, label));
        }

        var ranked = classes.Length == 2 ? [classes[1]] : classes;
        var macro = counts.Macro();
        var intervals = Resampling.Draw(predictions.Count, resamples, seed, 3, (drawn, figures) => Sums(predictions, drawn, figures), cancellationToken);
        return new()
        {
            Accuracy = (double)Enumerable.Range(0, predictions.Count).Count(predictions.IsRight) / predictions.Count,
            AccuracyInterval = Resampling.Middle(intervals[0]),
            Top5Accuracy = names.Count > Top ? (double)Enumerable.Range(0, predictions.Count).Count(i => predictions.RankOfTruth(i) < Top) / predictions.Count : null,
            LogLoss = predictions.Loss.Average(),
            LogLossInterval = Resampling.Middle(intervals[1]),
            MacroPrecision = macro.Precision,
            MacroRecall = macro.Recall,
            MacroF1 = macro.F1,
            MacroF1Interval = Resampling.Middle(intervals[2]),
            RocAuc = ranked.Average(static c => c.RocAuc),
            PrAuc = ranked.Average(static c => c.PrAuc),
            Classes = classes,
            Confusion = [.. Enumerable.Range(0, names.Count).Select(row => confusion.AsSpan(row * names.Count, names.Count).ToArray())],
            Calibration = Calibration.Measure(predictions),
        };
    }

    /// <summary>How well the probability of a label tells its items from the rest; null where one side has none.</summary>
    public static RankCurves? Curves(LabelPredictions predictions, int label)
    {
        var (scores, positive) = (new double[predictions.Count], new bool[predictions.Count]);
        for (var item = 0; item < scores.Length; item++)
        {
            scores[item] = predictions.Probability(item, label);
            positive[item] = predictions.Truth[item] == label;
        }

        return RankCurves.Of(scores, positive);
    }

    private static int[] Confusion(LabelPredictions predictions)
    {
        var confusion = new int[checked(predictions.Labels * predictions.Labels)];
        for (var item = 0; item < predictions.Count; item++)
            confusion[(predictions.Truth[item] * predictions.Labels) + predictions.Answers[item]]++;
        return confusion;
    }

    private static ClassFigures OfClass(LabelCounts counts, string name, int label, RankCurves? curves) => new(
        name, counts.Support[label], counts.Predicted[label], counts.Precision(label), counts.Recall(label), counts.F1(label), curves?.RocAuc, curves?.AveragePrecision);

    private static void Sums(LabelPredictions predictions, int[] drawn, Span<double> figures)
    {
        var counts = LabelCounts.Of(predictions.Labels);
        var (support, predicted, right) = counts;
        var (correct, loss) = (0, 0.0);
        foreach (var item in drawn)
        {
            support[predictions.Truth[item]]++;
            predicted[predictions.Answers[item]]++;
            loss += predictions.Loss[item];
            if (!predictions.IsRight(item))
                continue;
            right[predictions.Truth[item]]++;
            correct++;
        }

        figures[0] = (double)correct / drawn.Length;
        figures[1] = loss / drawn.Length;
        figures[2] = counts.Macro().F1;
    }

    private static LabelCounts Counts(int[] confusion, int labels)
    {
        var counts = LabelCounts.Of(labels);
        for (var truth = 0; truth < labels; truth++)
        {
            for (var answer = 0; answer < labels; answer++)
            {
                counts.Support[truth] += confusion[(truth * labels) + answer];
                counts.Predicted[answer] += confusion[(truth * labels) + answer];
            }

            counts.Right[truth] = confusion[(truth * labels) + truth];
        }

        return counts;
    }
}
