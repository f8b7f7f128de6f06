using System.Globalization;
using System.Text;
using QueueMaaS.Contracts;
using QueueMaaS.Inference.Evaluation.Statistics;

namespace QueueMaaS.Inference.Evaluation.Pages;

/// <summary>A label with the areas under its curves.</summary>
internal sealed record RankedLabel(int Place, string Name, double? RocAuc, double? PrAuc);

/// <summary>Charts as inline SVG.</summary>
internal static class EvaluationCharts
{
    private const int Side = 300;
    private const int Left = 44;
    private const int Top = 26;
    private const int MostCurves = 10;
    private const int MostPoints = 400;
    private const int MostCells = 40;
    private static readonly string[] Colours = ["#2f6fb2", "#d1603d", "#3a9a5b", "#8a5bb0", "#c98a00", "#1f9aa5", "#b0476f", "#6b7a3a", "#5b6470", "#a0522d"];

    public static void Reliability(StringBuilder html, string title, string across, string up, IReadOnlyList<ReliabilityBin> bins)
    {
        Begin(html, title, across, up);
        foreach (var bin in bins.Where(static b => b.Items > 0))
        {
            html.Append(CultureInfo.InvariantCulture, $"<rect x=\"{X(bin.From):0.#}\" y=\"{Y(bin.Accuracy!.Value):0.#}\" width=\"{Side * (bin.To - bin.From):0.#}\" height=\"{Side * bin.Accuracy.Value:0.#}\" fill=\"#9cc3ea\" stroke=\"#2f6fb2\"><title>{bin.Items}, {across} {bin.Confidence:0.###}, {up} {bin.Accuracy:0.###}</title></rect>");
            html.Append(CultureInfo.InvariantCulture, $"<circle cx=\"{X(bin.Confidence!.Value):0.#}\" cy=\"{Y(bin.Accuracy.Value):0.#}\" r=\"3\" fill=\"#1c2733\"/>");
        }

        Diagonal(html);
        html.Append("</svg></figure>");
    }

    public static void Roc(StringBuilder html, IReadOnlyList<RankedLabel> labels, Func<int, RankCurves?> curves)
    {
        Begin(html, "ROC", "false positive rate", "true positive rate");
        Diagonal(html);
        Ranks(html, labels, curves, static curves => curves.Roc, static label => label.RocAuc);
    }

    public static void PrecisionRecall(StringBuilder html, IReadOnlyList<RankedLabel> labels, Func<int, RankCurves?> curves)
    {
        Begin(html, "Precision over recall", "recall", "precision");
        Ranks(html, labels, curves, static curves => curves.Precision, static label => label.PrAuc);
    }

    /// <summary>The labels that are hardest to tell from the rest.</summary>
    private static void Ranks(StringBuilder html, IReadOnlyList<RankedLabel> labels, Func<int, RankCurves?> curves, Func<RankCurves, IReadOnlyList<CurvePoint>> pick, Func<RankedLabel, double?> area)
    {
        RankedLabel[] shown = [.. labels.Where(static label => label.RocAuc is not null).OrderBy(area).Take(MostCurves)];
        foreach (var (place, label) in shown.Index())
        {
            var curve = pick(curves(label.Place)!);
            var step = Math.Max(1, curve.Count / MostPoints);
            html.Append("<polyline fill=\"none\" stroke-width=\"1.5\" stroke=\"").Append(Colours[place % Colours.Length]).Append("\" points=\"");
            foreach (var point in curve.Index().Where(p => p.Index % step == 0 || p.Index == curve.Count - 1).Select(static p => p.Item))
                html.Append(CultureInfo.InvariantCulture, $"{X(point.X):0.#},{Y(point.Y):0.#} ");
            html.Append("\"/>");
            html.Append(CultureInfo.InvariantCulture, $"<text x=\"{Left + Side - 8}\" y=\"{Top + Side - 10 - (13 * (shown.Length - 1 - place))}\" text-anchor=\"end\" style=\"fill:{Colours[place % Colours.Length]}\">{EvaluationPage.Text(Short(label.Name))} {area(label):0.###}</text>");
        }

        html.Append("</svg></figure>");
    }

    /// <summary>Lines over the epochs, each with its name and last value; epochs without a value are left out.</summary>
    public static void Epochs(StringBuilder html, string title, string up, IReadOnlyList<(string Name, IReadOnlyList<double?> Values)> lines)
    {
        double[] all = [.. lines.SelectMany(static line => line.Values).OfType<double>().Where(double.IsFinite)];
        if (all.Length == 0)
            return;
        var (least, most, last) = (all.Min(), all.Max(), Math.Max(1, lines.Max(static line => line.Values.Count) - 1));
        var range = most > least ? most - least : 1;
        Begin(html, title, "epoch", up);
        html.Append(CultureInfo.InvariantCulture, $"<text x=\"{Left - 6}\" y=\"{Top + Side + 4}\" text-anchor=\"end\">{EvaluationPage.Number(least)}</text><text x=\"{Left - 6}\" y=\"{Top + 4}\" text-anchor=\"end\">{EvaluationPage.Number(most)}</text><text x=\"{Left}\" y=\"{Top + Side + 16}\" text-anchor=\"middle\">1</text><text x=\"{Left + Side}\" y=\"{Top + Side + 16}\" text-anchor=\"middle\">{last + 1}</text>");
        // The names stand where the lines do not end.
        var names = lines[0].Values is [.., { } end] && (end - least) / range > 0.5 ? Top + Side - 10 - (13 * (lines.Count - 1)) : Top + 16;
        foreach (var (place, (name, values)) in lines.Index())
        {
            var colour = Colours[place % Colours.Length];
            html.Append(CultureInfo.InvariantCulture, $"<polyline fill=\"none\" stroke-width=\"1.5\" stroke=\"{colour}\" points=\"");
            foreach (var (epoch, value) in values.Index().Where(static v => v.Item is { } number && double.IsFinite(number)))
                html.Append(CultureInfo.InvariantCulture, $"{X((double)epoch / last):0.#},{Y((value!.Value - least) / range):0.#} ");
            html.Append(CultureInfo.InvariantCulture, $"\"/><text x=\"{Left + Side - 8}\" y=\"{names + (13 * place)}\" text-anchor=\"end\" style=\"fill:{colour}\">{name} {EvaluationPage.Number(values[^1])}</text>");
        }

        html.Append("</svg></figure>");
    }

    public static void Confusion(StringBuilder html, ClassificationFigures figures)
    {
        // Of very many classes those that are most often mistaken are drawn; the JSON has all.
        int[] shown = [.. Enumerable.Range(0, figures.Classes.Count).OrderByDescending(c => Wrong(figures, c)).Take(MostCells).Order()];
        var cell = shown.Length <= 12 ? 44 : shown.Length <= 20 ? 30 : 20;
        const int Margin = 110;
        var size = Margin + (cell * shown.Length) + 10;
        html.Append(CultureInfo.InvariantCulture, $"<svg width=\"{size}\" height=\"{size}\" role=\"img\" aria-label=\"Confusion matrix\">");
        foreach (var (row, truth) in shown.Index())
        {
            var name = EvaluationPage.Text(Short(figures.Classes[truth].Name));
            var middle = Margin + (cell * row) + (cell / 2);
            html.Append(CultureInfo.InvariantCulture, $"<text x=\"{Margin - 6}\" y=\"{middle + 4}\" text-anchor=\"end\">{name}</text><text transform=\"translate({middle + 4},{Margin - 6}) rotate(-60)\">{name}</text>");
            foreach (var (column, answer) in shown.Index())
            {
                var items = figures.Confusion[truth][answer];
                var share = figures.Classes[truth].Support == 0 ? 0 : (double)items / figures.Classes[truth].Support;
                html.Append(CultureInfo.InvariantCulture, $"<rect x=\"{Margin + (cell * column)}\" y=\"{Margin + (cell * row)}\" width=\"{cell}\" height=\"{cell}\" fill=\"{(row == column ? "#2f6fb2" : "#d1603d")}\" fill-opacity=\"{share:0.###}\" stroke=\"#d5dce3\"><title>{name} taken for {EvaluationPage.Text(Short(figures.Classes[answer].Name))}: {items}</title></rect>");
                if (items > 0 && cell >= 30)
                    html.Append(CultureInfo.InvariantCulture, $"<text x=\"{Margin + (cell * column) + (cell / 2)}\" y=\"{middle + 4}\" text-anchor=\"middle\"{(share > 0.6 ? " style=\"fill:#fff\"" : "")}>{items}</text>");
            }
        }

        html.Append("</svg>");
        if (shown.Length < figures.Classes.Count)
            html.Append(CultureInfo.InvariantCulture, $"<p class=\"muted\">The {shown.Length} of {figures.Classes.Count} classes with the most mistakes.</p>");
    }

    public static void Scatter(StringBuilder html, NumberPredictions predictions)
    {
        Begin(html, "Answer over truth, both scaled alike", "truth", "answer");
        var least = Math.Min(predictions.Truth.Min(), predictions.Answers.Min());
        var range = Math.Max(predictions.Truth.Max(), predictions.Answers.Max()) - least is var r && r > 0 ? r : 1;
        Diagonal(html);
        var step = Math.Max(1, predictions.Count / 1000);
        for (var i = 0; i < predictions.Count; i += step)
            html.Append(CultureInfo.InvariantCulture, $"<circle cx=\"{X((predictions.Truth[i] - least) / range):0.#}\" cy=\"{Y((predictions.Answers[i] - least) / range):0.#}\" r=\"2\" fill=\"#2f6fb2\" fill-opacity=\"0.5\"/>");
        html.Append("</svg></figure>");
    }

    private static void Begin(StringBuilder html, string title, string across, string up)
    {
        html.Append(CultureInfo.InvariantCulture, $"<figure style=\"margin:0\"><svg width=\"{Left + Side + 16}\" height=\"{Top + Side + 40}\" role=\"img\" aria-label=\"{title}\"><text x=\"{Left}\" y=\"16\" style=\"font-weight:600;font-size:13px\">{title}</text>");
        html.Append(CultureInfo.InvariantCulture, $"<rect x=\"{Left}\" y=\"{Top}\" width=\"{Side}\" height=\"{Side}\" fill=\"none\" stroke=\"#8795a3\"/><text x=\"{Left + (Side / 2)}\" y=\"{Top + Side + 32}\" text-anchor=\"middle\">{across}</text><text transform=\"translate(12,{Top + (Side / 2)}) rotate(-90)\" text-anchor=\"middle\">{up}</text>");
        if (across is "truth" or "epoch")
            return;
        foreach (var tick in (double[])[0, 0.5, 1])
            html.Append(CultureInfo.InvariantCulture, $"<text x=\"{X(tick):0}\" y=\"{Top + Side + 16}\" text-anchor=\"middle\">{tick}</text><text x=\"{Left - 6}\" y=\"{Y(tick) + 4:0}\" text-anchor=\"end\">{tick}</text>");
    }

    private static void Diagonal(StringBuilder html) =>
        html.Append(CultureInfo.InvariantCulture, $"<line x1=\"{Left}\" y1=\"{Top + Side}\" x2=\"{Left + Side}\" y2=\"{Top}\" stroke=\"#8795a3\" stroke-dasharray=\"4 4\"/>");

    private static double X(double share) => Left + (Side * share);

    private static double Y(double share) => Top + (Side * (1 - share));

    private static int Wrong(ClassificationFigures figures, int label) => figures.Confusion[label].Sum() + figures.Classes[label].Predicted - (2 * figures.Confusion[label][label]);

    private static string Short(string name) => name.Length <= 14 ? name : name[..13] + "…";
}
