using QueueMaaS.Contracts;

namespace QueueMaaS.Inference.Evaluation.Statistics;

/// <summary>The figures of a classification.</summary>
internal static class Classification
{
    private const int Top = 5;

    public static ClassificationFigures Measure(LabelPredictions predictions, IReadOnlyList<string> names, int resamples, int seed, CancellationToken cancellationToken = default)
    {
        var confusion = Confusion(predictions);
        var margins = Margins.Of(confusion, names.Count);
        var classes = new ClassFigures[names.Count];
        for (var label = 0; label < classes.Length; label++)
        {
            cancellationToken.ThrowIfCancellationRequested();
            classes[label] = OfClass(margins, names[label], label, Curves(predictions, label));
        }

        var ranked = classes.Length == 2 ? [classes[1]] : classes;
        var macro = Macro(margins);
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

    private static ClassFigures OfClass(Margins margins, string name, int label, RankCurves? curves)
    {
        var (support, predicted, right) = (margins.Support[label], margins.Predicted[label], margins.Right[label]);
        return new(
            name, support, predicted, Share(right, predicted), Share(right, support), Share(2 * right, predicted + support), curves?.RocAuc, curves?.AveragePrecision);
    }

    private static double? Share(int part, int whole) => whole == 0 ? null : (double)part / whole;

    private static (double Precision, double Recall, double F1) Macro(Margins margins)
    {
        var (support, predicted, right) = margins;
        var (seen, precision, recall, f1) = (0, 0.0, 0.0, 0.0);
        for (var label = 0; label < support.Length; label++)
        {
            if (support[label] + predicted[label] == 0)
                continue;
            seen++;
            precision += Share(right[label], predicted[label]) ?? 0;
            recall += Share(right[label], support[label]) ?? 0;
            f1 += 2.0 * right[label] / (support[label] + predicted[label]);
        }

        return (precision / seen, recall / seen, f1 / seen);
    }

    private static void Sums(LabelPredictions predictions, int[] drawn, Span<double> figures)
    {
        var margins = new Margins(new int[predictions.Labels], new int[predictions.Labels], new int[predictions.Labels]);
        var (support, predicted, right) = margins;
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
        figures[2] = Macro(margins).F1;
    }

    /// <summary>By label: how many items have it, how many were said to, and how many rightly.</summary>
    private readonly record struct Margins(int[] Support, int[] Predicted, int[] Right)
    {
        public static Margins Of(int[] confusion, int labels)
        {
            var margins = new Margins(new int[labels], new int[labels], new int[labels]);
            for (var truth = 0; truth < labels; truth++)
            {
                for (var answer = 0; answer < labels; answer++)
                {
                    margins.Support[truth] += confusion[(truth * labels) + answer];
                    margins.Predicted[answer] += confusion[(truth * labels) + answer];
                }

                margins.Right[truth] = confusion[(truth * labels) + truth];
            }

            return margins;
        }
    }
}
