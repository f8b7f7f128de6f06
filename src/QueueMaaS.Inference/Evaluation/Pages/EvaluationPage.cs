using System.Globalization;
using System.Net;
using System.Text;
using QueueMaaS.Contracts;
using QueueMaaS.Inference.Evaluation.Statistics;

namespace QueueMaaS.Inference.Evaluation.Pages;

/// <summary>Writes an evaluation as one HTML page that loads nothing: charts are inline SVG, pictures data URLs, and every text out of data is encoded.</summary>
internal static class EvaluationPage
{
    private const string Style = """
        body{font:15px/1.5 system-ui,sans-serif;color:#1c2733;max-width:1040px;margin:2rem auto;padding:0 1rem}h1{font-size:1.6rem;margin-bottom:.2rem}h2{font-size:1.2rem;margin-top:2rem;border-bottom:1px solid #d5dce3}
        h3{font-size:1rem;margin:1.2rem 0 .4rem}table{border-collapse:collapse;margin:.5rem 0}th,td{padding:.25rem .7rem;text-align:right;border-bottom:1px solid #e6ebf0}th:first-child,td:first-child{text-align:left}th{color:#51606f;font-weight:600}
        .muted{color:#51606f}.verdict{background:#eef4fb;border-left:4px solid #2f6fb2;padding:.6rem 1rem}.note{background:#fff6e0;border-left:4px solid #c98a00;padding:.6rem 1rem}.charts{display:flex;flex-wrap:wrap;gap:1.5rem}
        .worst{display:flex;flex-wrap:wrap;gap:.8rem}.worst figure{margin:0;width:132px;font-size:12px}.worst img{width:96px;height:96px;image-rendering:pixelated;border:1px solid #d5dce3}code{word-break:break-all;font-size:12px}svg text{font:11px system-ui,sans-serif;fill:#1c2733}.scroll{overflow-x:auto}
        """;

    public static string Write(EvaluationOutput output, IReadOnlyList<EvaluatedModel> models, IReadOnlyDictionary<int, string> pictures, DateTimeOffset now)
    {
        var html = new StringBuilder("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">")
            .Append("<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">")
            .Append("<title>Evaluation of ").Append(Text(output.Model.Name)).Append("</title><style>").Append(Style).Append("</style></head><body>");
        html.Append("<h1>Evaluation of ").Append(Text(output.Model.Name)).Append(output.Compared is { } other ? $" beside {Text(other.Name)}" : "").Append("</h1>");
        html.Append(CultureInfo.InvariantCulture, $"<p class=\"muted\">{output.Items:N0} items of the split <b>{Text(output.Dataset.Split)}</b> of data set <b>{Text(output.Dataset.Name)}</b>; {now:yyyy-MM-dd HH:mm} UTC.</p>");
        if (output.Comparison is { } comparison)
            html.Append("<p class=\"verdict\">").Append(Text(comparison.Sentence)).Append("</p>");
        if (output.Failed > 0)
            html.Append(CultureInfo.InvariantCulture, $"<p class=\"note\">{output.Failed:N0} items could not be read or computed and are in no figure. The first: {Text(output.FirstError?.Message ?? "")}</p>");
        foreach (var note in output.Notes)
            html.Append("<p class=\"note\">").Append(Text(note)).Append("</p>");
        foreach (var (figures, model) in new[] { output.Model, output.Compared }.OfType<ModelEvaluation>().Zip(models))
            WriteModel(html, figures, model, pictures);
        Lineage(html, output);
        return html.Append("</body></html>\n").ToString();
    }

    public static string Text(string text) => WebUtility.HtmlEncode(text);

    public static string Number(double? number) => number is { } value ? value.ToString(Math.Abs(value) is >= 1000 or 0 ? "0.##" : "0.####", CultureInfo.InvariantCulture) : "–";

    private static void WriteModel(StringBuilder html, ModelEvaluation figures, EvaluatedModel model, IReadOnlyDictionary<int, string> pictures)
    {
        html.Append("<h2>").Append(Text(figures.Name)).Append("</h2>");
        if (figures.Classification is { } labels)
            Classified(html, labels, model.Labels!);
        if (figures.MultiLabel is { } sets)
            MultiLabelSection.Write(html, sets, model.LabelSets!);
        if (figures.Regression is { } numbers)
            Regressed(html, numbers, model.Numbers!);
        Slices(html, figures);
        Worst(html, figures, pictures);
        if (figures.Training is { } training)
            TrainingSection.Write(html, figures, training);
    }

    private static void Classified(StringBuilder html, ClassificationFigures figures, LabelPredictions predictions)
    {
        Table(html, ["figure", "value", "95 % interval"],
        [
            ["accuracy", Number(figures.Accuracy), Span(figures.AccuracyInterval)],
            .. figures.Top5Accuracy is { } top ? [["accuracy among the five likeliest", Number(top), ""]] : Array.Empty<string[]>(),
            ["macro F1", Number(figures.MacroF1), Span(figures.MacroF1Interval)],
            ["macro precision, recall", $"{Number(figures.MacroPrecision)}, {Number(figures.MacroRecall)}", ""],
            ["log loss", Number(figures.LogLoss), Span(figures.LogLossInterval)],
            ["ROC AUC, PR AUC", $"{Number(figures.RocAuc)}, {Number(figures.PrAuc)}", ""],
            ["calibration error (ECE)", Number(figures.Calibration.Ece), ""],
            ["fitted temperature", Number(figures.Calibration.Temperature), $"ECE {Number(figures.Calibration.EceAfter)}, log loss {Number(figures.Calibration.LogLossAfter)} with it"],
        ]);
        // Each sorts all items by a class's score, and two charts ask for it.
        var curves = new Dictionary<int, RankCurves?>();
        RankCurves? Curves(int label) => curves.TryGetValue(label, out var known) ? known : curves[label] = Classification.Curves(predictions, label);
        html.Append("<div class=\"charts\">");
        EvaluationCharts.Reliability(html, "Reliability: accuracy by confidence", "confidence", "accuracy", figures.Calibration.Bins);
        // Of two labels one says all.
        RankedLabel[] ranked = [.. figures.Classes.Index().Where(c => figures.Classes.Count != 2 || c.Index == 1).Select(static c => new RankedLabel(c.Index, c.Item.Name, c.Item.RocAuc, c.Item.PrAuc))];
        EvaluationCharts.Roc(html, ranked, Curves);
        EvaluationCharts.PrecisionRecall(html, ranked, Curves);
        html.Append("</div><h3>Confusion: truth by row, answer by column</h3><div class=\"scroll\">");
        EvaluationCharts.Confusion(html, figures);
        html.Append("</div><h3>Classes</h3>");
        Table(html, ["class", "items", "precision", "recall", "F1", "ROC AUC", "PR AUC"], [.. figures.Classes.Select(static c => new[]
        {
            c.Name, $"{c.Support}", Number(c.Precision), Number(c.Recall), Number(c.F1), Number(c.RocAuc), Number(c.PrAuc),
        })]);
    }

    private static void Regressed(StringBuilder html, RegressionFigures figures, NumberPredictions predictions)
    {
        Table(html, ["figure", "value", "95 % interval"],
        [
            ["mean absolute error", Number(figures.Mae), Span(figures.MaeInterval)],
            ["root mean squared error", Number(figures.Rmse), Span(figures.RmseInterval)],
            ["R²", Number(figures.R2), ""],
            ["bias (mean of answer − truth)", Number(figures.Bias), ""],
        ]);
        html.Append("<div class=\"charts\">");
        EvaluationCharts.Scatter(html, predictions);
        html.Append("</div><h3>Quantiles of answer − truth</h3>");
        Table(html, ["quantile", "residual"], [.. figures.Residuals.Select(static r => new[] { Number(r.Share), Number(r.Residual) })]);
    }

    private static void Slices(StringBuilder html, ModelEvaluation figures)
    {
        foreach (var column in figures.Slices.GroupBy(static s => s.Column, StringComparer.Ordinal))
        {
            html.Append("<h3>By ").Append(Text(column.Key)).Append("</h3>");
            (string Name, Func<SliceFigures, double?> Read)[] shown = figures switch
            {
                { Classification: not null } => [("accuracy", static s => s.Accuracy), ("log loss", static s => s.LogLoss)],
                { MultiLabel: not null } => [("subset accuracy", static s => s.SubsetAccuracy), ("macro F1", static s => s.MacroF1), ("Hamming loss", static s => s.HammingLoss), ("log loss", static s => s.LogLoss)],
                _ => [("mean absolute error", static s => s.Mae), ("root mean squared error", static s => s.Rmse)],
            };
            Table(html, ["slice", "items", .. shown.Select(static figure => figure.Name)],
                [.. column.Select(s => (string[])[s.Slice, s.Items == 0 ? "none" : $"{s.Items}", .. shown.Select(figure => Number(figure.Read(s)))])]);
        }
    }

    private static void Worst(StringBuilder html, ModelEvaluation figures, IReadOnlyDictionary<int, string> pictures)
    {
        html.Append("<h3>Worst mistakes</h3>");
        if (figures.Worst.Count == 0)
        {
            html.Append("<p>None: every item was answered right.</p>");
            return;
        }

        if (!figures.Worst.Any(m => pictures.ContainsKey(m.Item)))
        {
            Table(html, ["item", "truth", "answer", figures.MultiLabel is null ? "confidence" : "most wrong, its probability", "row"], [.. figures.Worst.Select(static m => new[]
            {
                m.Name ?? $"{m.Item}", m.Truth, m.Answer, m.Label is null ? Number(m.Confidence) : $"{m.Label} {Number(m.Confidence)}", string.Join(", ", m.Row?.Select(static c => $"{c.Key} {c.Value}") ?? []),
            })]);
            return;
        }

        html.Append("<div class=\"worst\">");
        foreach (var mistake in figures.Worst)
        {
            html.Append("<figure>");
            if (pictures.TryGetValue(mistake.Item, out var picture))
                html.Append("<img alt=\"\" src=\"").Append(Text(picture)).Append("\">");
            var most = mistake.Label is null ? "" : $"{Text(mistake.Label)} ";
            html.Append(CultureInfo.InvariantCulture, $"<figcaption><b>{Some(mistake.Truth)}</b> taken for <b>{Some(mistake.Answer)}</b> ({most}{100 * mistake.Confidence:0.#} %)<br><code>{Text(mistake.Name ?? "")}</code></figcaption></figure>");
        }

        html.Append("</div>");
    }

    private static void Lineage(StringBuilder html, EvaluationOutput output)
    {
        html.Append("<h2>Where this comes from</h2><table><tr><th>what</th><th>name</th><th>content</th><th>training job</th><th>trained on</th></tr>");
        foreach (var model in new[] { output.Model, output.Compared }.OfType<ModelEvaluation>())
            html.Append("<tr><td>model</td><td>").Append(Text(model.Name)).Append("</td><td><code>").Append(Text(model.Artifact)).Append("</code></td><td>").Append(Text(model.TrainedBy ?? "–")).Append("</td><td>").Append(Text(model.TrainedOn ?? "–")).Append("</td></tr>");
        html.Append("<tr><td>data set</td><td>").Append(Text(output.Dataset.Name)).Append("</td><td><code>").Append(Text(output.Dataset.Artifact)).Append("</code></td><td>–</td><td>–</td></tr></table>");
        html.Append(CultureInfo.InvariantCulture, $"<p class=\"muted\">Intervals: bootstrap, {output.Bootstrap:N0} resamples, seed {output.Seed}. The temperature is fitted on the same items, so what it gains is at its best here.</p>");
    }

    private static string Some(string labels) => labels.Length == 0 ? "no label" : Text(labels);

    public static string Span(Interval interval) => $"{Number(interval.Low)} to {Number(interval.High)}";

    public static void Table(StringBuilder html, string[] head, string[][] rows)
    {
        html.Append("<div class=\"scroll\"><table><tr>");
        foreach (var cell in head)
            html.Append("<th>").Append(Text(cell)).Append("</th>");
        html.Append("</tr>");
        foreach (var row in rows)
        {
            html.Append("<tr>");
            foreach (var cell in row)
                html.Append("<td>").Append(Text(cell)).Append("</td>");
            html.Append("</tr>");
        }

        html.Append("</table></div>");
    }
}
