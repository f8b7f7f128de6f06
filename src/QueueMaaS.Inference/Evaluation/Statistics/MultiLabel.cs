using QueueMaaS.Contracts;

namespace QueueMaaS.Inference.Evaluation.Statistics;

/// <summary>The figures of a model that gives any number of labels at once.</summary>
internal static class MultiLabel
{
    /// <summary>More decisions than this are not ranked all together.</summary>
    private const int MostRanked = 20_000_000;

    /// <param name="predictions">What was said.</param>
    /// <param name="names">The labels.</param>
    /// <param name="data">The data that best thresholds are chosen on.</param>
    /// <param name="resamples">Of the bootstrap.</param>
    /// <param name="seed">Of the bootstrap.</param>
    /// <param name="cancellationToken">Stops.</param>
    public static MultiLabelFigures Measure(MultiLabelPredictions predictions, IReadOnlyList<string> names, string data, int resamples, int seed, CancellationToken cancellationToken = default)
    {
        var decisions = new MultiLabelDecisions(predictions);
        int[] all = [.. Enumerable.Range(0, predictions.Count)];
        var counts = decisions.Count(all);
        var labels = new LabelFigures[names.Count];
        for (var label = 0; label < labels.Length; label++)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var (curves, best) = (Curves(predictions, label), BestThreshold.Of(predictions.Decisions(label)));
            labels[label] = new(
                names[label], counts.Support[label], counts.Predicted[label], counts.Precision(label), counts.Recall(label), counts.F1(label), curves?.RocAuc, curves?.AveragePrecision,
                Calibration.Bins(predictions.Decisions(label)).Ece, predictions.Thresholds[label], best?.Threshold, best?.F1);
        }

        var (macro, micro) = (counts.Macro(), counts.Micro());
        var together = predictions.Count * (long)predictions.Labels <= MostRanked ? Together(predictions) : null;
        var intervals = Resampling.Draw(predictions.Count, resamples, seed, 5, (drawn, figures) => Sums(decisions, drawn, figures), cancellationToken);
        return new()
        {
            SubsetAccuracy = decisions.SubsetAccuracy(all),
            SubsetAccuracyInterval = Resampling.Middle(intervals[0]),
            HammingLoss = decisions.HammingLoss(all),
            HammingLossInterval = Resampling.Middle(intervals[1]),
            LogLoss = predictions.Loss.Average(),
            LogLossInterval = Resampling.Middle(intervals[2]),
            MicroPrecision = micro.Precision,
            MicroRecall = micro.Recall,
            MicroF1 = micro.F1,
            MicroF1Interval = Resampling.Middle(intervals[3]),
            MacroPrecision = macro.Precision,
            MacroRecall = macro.Recall,
            MacroF1 = macro.F1,
            MacroF1Interval = Resampling.Middle(intervals[4]),
            RocAuc = labels.Average(static label => label.RocAuc),
            MicroRocAuc = together?.RocAuc,
            PrAuc = labels.Average(static label => label.PrAuc),
            MicroPrAuc = together?.AveragePrecision,
            Labels = labels,
            Calibration = Calibration.Measure(predictions),
            // A label that does not occur has no best threshold; with one that is never reached it is not said, and does not count.
            BestMacroF1 = labels.Average(static label => label.BestF1) ?? 0,
            ThresholdsChosenOn = data,
        };
    }

    /// <summary>How well the probability of a label tells its items from the rest; null where one side has none.</summary>
    public static RankCurves? Curves(MultiLabelPredictions predictions, int label)
    {
        var (scores, positive) = predictions.Ranking(label);
        return RankCurves.Of(scores, positive);
    }

    private static RankCurves? Together(MultiLabelPredictions predictions)
    {
        var (scores, positive) = predictions.Ranking();
        return RankCurves.Of(scores, positive);
    }

    private static void Sums(MultiLabelDecisions decisions, int[] drawn, Span<double> figures)
    {
        var loss = 0.0;
        foreach (var item in drawn)
            loss += decisions.Predictions.Loss[item];
        var counts = decisions.Count(drawn);
        figures[0] = decisions.SubsetAccuracy(drawn);
        figures[1] = decisions.HammingLoss(drawn);
        figures[2] = loss / drawn.Length;
        figures[3] = counts.Micro().F1;
        figures[4] = counts.Macro().F1;
    }
}
