using MathNet.Numerics;
using QueueMaaS.Contracts;

namespace QueueMaaS.Inference.Evaluation.Statistics;

/// <summary>Whether two models differ on the same items.</summary>
internal static class Comparison
{
    private const double Level = 0.05;

    /// <summary>Below so many items that only one model got right, chi-square is too rough and the exact test is taken.</summary>
    private const int Few = 25;

    /// <summary>
    /// McNemar's test (Psychometrika 12, 1947) with Edwards' continuity correction (Psychometrika 13, 1948): only the items that one model alone got right say anything about the difference.
    /// </summary>
    public static ModelComparison OfLabels(LabelPredictions model, LabelPredictions other, string modelName, string otherName, int resamples, int seed, CancellationToken cancellationToken = default)
    {
        var (onlyModel, onlyOther) = (0, 0);
        var differences = new double[model.Count];
        for (var item = 0; item < model.Count; item++)
        {
            var difference = (model.IsRight(item) ? 1 : 0) - (other.IsRight(item) ? 1 : 0);
            differences[item] = difference;
            onlyModel += difference > 0 ? 1 : 0;
            onlyOther += difference < 0 ? 1 : 0;
        }

        var (exact, statistic, p) = McNemar(onlyModel, onlyOther);
        var mean = differences.Average();
        var interval = Resampling.Middle(Means(differences, resamples, seed, cancellationToken));
        var counts = FormattableString.Invariant($"{onlyModel} items only {modelName} got right, {onlyOther} only {otherName}; McNemar {Probability(p)}");
        return new()
        {
            Test = exact ? "mcnemarExact" : "mcnemar",
            PValue = p,
            OnlyModel = onlyModel,
            OnlyCompared = onlyOther,
            Statistic = statistic,
            Difference = mean,
            DifferenceInterval = interval,
            Significant = p < Level,
            Sentence = p < Level
                ? FormattableString.Invariant($"The difference is real at the 5 % level: {(mean > 0 ? modelName : otherName)} is right more often, by {100 * Math.Abs(mean):0.##} percentage points ({counts}).")
                : FormattableString.Invariant($"No real difference is shown at the 5 % level: {modelName} and {otherName} part by {100 * mean:0.##} percentage points, which chance alone may give ({counts})."),
        };
    }

    /// <summary>The two-sided test.</summary>
    public static (bool Exact, double? Statistic, double PValue) McNemar(int onlyFirst, int onlySecond)
    {
        var discordant = onlyFirst + onlySecond;
        if (discordant < Few)
        {
            double tail = 0;
            for (var i = 0; i <= Math.Min(onlyFirst, onlySecond); i++)
                tail += SpecialFunctions.Binomial(discordant, i);
            return (true, null, Math.Min(1, 2 * tail / Math.Pow(2, discordant)));
        }

        var excess = Math.Max(0, Math.Abs(onlyFirst - onlySecond) - 1);
        var statistic = (double)excess * excess / discordant;
        // Chi-square with one degree of freedom is the square of a standard normal.
        return (false, statistic, SpecialFunctions.Erfc(Math.Sqrt(statistic / 2)));
    }

    /// <summary>The paired bootstrap of absolute errors: the same items are drawn for both models.</summary>
    public static ModelComparison OfNumbers(NumberPredictions model, NumberPredictions other, string modelName, string otherName, int resamples, int seed, CancellationToken cancellationToken = default)
    {
        double[] differences = [.. Enumerable.Range(0, model.Count).Select(i => model.AbsoluteError(i) - other.AbsoluteError(i))];
        var means = Means(differences, resamples, seed, cancellationToken);
        var mean = differences.Average();
        var (_, interval, p, significant) = Bootstrapped(mean, means);
        var counts = Counts(interval, p, significant && mean < 0);
        return new()
        {
            Test = "pairedBootstrap",
            PValue = p,
            Difference = mean,
            DifferenceInterval = interval,
            Significant = significant,
            Sentence = significant
                ? FormattableString.Invariant($"The difference is real at the 5 % level: the mean absolute error of {(mean < 0 ? modelName : otherName)} is smaller by {Math.Abs(mean):0.####} ({counts}).")
                : FormattableString.Invariant($"No real difference is shown at the 5 % level: the mean absolute errors of {modelName} and {otherName} part by {mean:0.####}, which chance alone may give ({counts})."),
        };
    }

    /// <summary>The paired bootstrap of the macro F1 and of the subset accuracy: the same items are drawn for both models.</summary>
    public static ModelComparison OfLabelSets(MultiLabelPredictions model, MultiLabelPredictions other, string modelName, string otherName, int resamples, int seed, CancellationToken cancellationToken = default)
    {
        var (own, others) = (new MultiLabelDecisions(model), new MultiLabelDecisions(other));
        void Differences(int[] items, Span<double> figures)
        {
            figures[0] = own.Count(items).Macro().F1 - others.Count(items).Macro().F1;
            figures[1] = own.SubsetAccuracy(items) - others.SubsetAccuracy(items);
        }

        var differences = new double[2];
        Differences([.. Enumerable.Range(0, model.Count)], differences);
        var drawn = Resampling.Draw(model.Count, resamples, seed, 2, Differences, cancellationToken);
        var (macro, subset) = (Bootstrapped(differences[0], drawn[0]), Bootstrapped(differences[1], drawn[1]));
        return new()
        {
            Test = "pairedBootstrap",
            PValue = macro.PValue,
            Difference = macro.Difference,
            DifferenceInterval = macro.Interval,
            Significant = macro.Significant,
            SubsetAccuracy = subset,
            Sentence = $"{Said("macro F1", macro, modelName, otherName)} {Said("subset accuracy", subset, modelName, otherName)}",
        };
    }

    private static string Said(string figure, FigureDifference difference, string modelName, string otherName)
    {
        var counts = Counts(difference.Interval, difference.PValue, difference is { Significant: true, Difference: < 0 });
        return difference.Significant
            ? FormattableString.Invariant($"The difference of the {figure} is real at the 5 % level: that of {(difference.Difference > 0 ? modelName : otherName)} is greater by {Math.Abs(difference.Difference):0.####} ({counts}).")
            : FormattableString.Invariant($"No real difference of the {figure} is shown at the 5 % level: {modelName} and {otherName} part by {difference.Difference:0.####}, which chance alone may give ({counts}).");
    }

    /// <summary>A sentence that says by how much one is ahead has no sign, so its interval has none either.</summary>
    private static string Counts(Interval interval, double p, bool turned)
    {
        var (low, high) = turned ? (-interval.High, -interval.Low) : (interval.Low, interval.High);
        return FormattableString.Invariant($"95 % interval {low:0.####} to {high:0.####}, paired bootstrap {Probability(p)}");
    }

    private static FigureDifference Bootstrapped(double difference, double[] ascending)
    {
        var interval = Resampling.Middle(ascending);
        // One is added to each side: a probability is never found to be zero by drawing.
        var p = Math.Min(1, 2.0 * (Math.Min(ascending.Count(static m => m <= 0), ascending.Count(static m => m >= 0)) + 1) / (ascending.Length + 1));
        return new(difference, interval, p, p < Level && (interval.Low > 0 || interval.High < 0));
    }

    private static string Probability(double p) => p < 0.0001 ? "p < 0.0001" : FormattableString.Invariant($"p = {p:0.####}");

    private static double[] Means(double[] differences, int resamples, int seed, CancellationToken cancellationToken) => Resampling.Draw(
        differences.Length, resamples, seed, 1,
        (drawn, figures) =>
        {
            double sum = 0;
            foreach (var item in drawn)
                sum += differences[item];
            figures[0] = sum / drawn.Length;
        },
        cancellationToken)[0];
}
