using System.Text;
using QueueMaaS.Contracts;
using QueueMaaS.Inference.Evaluation.Statistics;

namespace QueueMaaS.Inference.Evaluation.Pages;

/// <summary>The part of the page about a model that gives several labels at once.</summary>
internal static class MultiLabelSection
{
    public static void Write(StringBuilder html, MultiLabelFigures figures, MultiLabelPredictions predictions)
    {
        EvaluationPage.Table(html, ["figure", "value", "95 % interval"],
        [
            ["subset accuracy (all labels of an item right)", EvaluationPage.Number(figures.SubsetAccuracy), EvaluationPage.Span(figures.SubsetAccuracyInterval)],
            ["Hamming loss (share of decisions wrong)", EvaluationPage.Number(figures.HammingLoss), EvaluationPage.Span(figures.HammingLossInterval)],
            ["macro F1", EvaluationPage.Number(figures.MacroF1), EvaluationPage.Span(figures.MacroF1Interval)],
            ["macro precision, recall", $"{EvaluationPage.Number(figures.MacroPrecision)}, {EvaluationPage.Number(figures.MacroRecall)}", ""],
            ["micro F1", EvaluationPage.Number(figures.MicroF1), EvaluationPage.Span(figures.MicroF1Interval)],
            ["micro precision, recall", $"{EvaluationPage.Number(figures.MicroPrecision)}, {EvaluationPage.Number(figures.MicroRecall)}", ""],
            ["log loss", EvaluationPage.Number(figures.LogLoss), EvaluationPage.Span(figures.LogLossInterval)],
            ["ROC AUC, macro and micro", $"{EvaluationPage.Number(figures.RocAuc)}, {EvaluationPage.Number(figures.MicroRocAuc)}", ""],
            ["average precision, macro (mAP) and micro", $"{EvaluationPage.Number(figures.PrAuc)}, {EvaluationPage.Number(figures.MicroPrAuc)}", ""],
            ["calibration error (ECE) of label probabilities", EvaluationPage.Number(figures.Calibration.Ece), ""],
            ["fitted temperature", EvaluationPage.Number(figures.Calibration.Temperature), $"ECE {EvaluationPage.Number(figures.Calibration.EceAfter)}, log loss {EvaluationPage.Number(figures.Calibration.LogLossAfter)} with it"],
            ["macro F1 with the best thresholds", EvaluationPage.Number(figures.BestMacroF1), "at its best: chosen on these items"],
        ]);
        // Each sorts all items by a label's score, and two charts ask for it.
        var curves = new Dictionary<int, RankCurves?>();
        RankCurves? Curves(int label) => curves.TryGetValue(label, out var known) ? known : curves[label] = MultiLabel.Curves(predictions, label);
        RankedLabel[] ranked = [.. figures.Labels.Index().Select(static label => new RankedLabel(label.Index, label.Item.Name, label.Item.RocAuc, label.Item.PrAuc))];
        html.Append("<div class=\"charts\">");
        EvaluationCharts.Reliability(html, "Reliability: share true by probability", "probability of a label", "share that is true", figures.Calibration.Bins);
        EvaluationCharts.Roc(html, ranked, Curves);
        EvaluationCharts.PrecisionRecall(html, ranked, Curves);
        html.Append("</div><h3>Labels</h3>");
        EvaluationPage.Table(html, ["label", "items", "said", "precision", "recall", "F1", "ROC AUC", "average precision", "ECE", "threshold", "best threshold", "F1 with it"], [.. figures.Labels.Select(static label => new[]
        {
            label.Name, $"{label.Support}", $"{label.Predicted}", EvaluationPage.Number(label.Precision), EvaluationPage.Number(label.Recall), EvaluationPage.Number(label.F1), EvaluationPage.Number(label.RocAuc),
            EvaluationPage.Number(label.PrAuc), EvaluationPage.Number(label.Ece), EvaluationPage.Number(label.Threshold), EvaluationPage.Number(label.BestThreshold), EvaluationPage.Number(label.BestF1),
        })]);
        html.Append("<p class=\"muted\">The best thresholds were chosen on ").Append(EvaluationPage.Text(figures.ThresholdsChosenOn)).Append(": judge them on items of another split, with <code>thresholds</code>.</p>");
    }
}
