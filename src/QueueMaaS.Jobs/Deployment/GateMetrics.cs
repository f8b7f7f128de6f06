using QueueMaaS.Contracts;

namespace QueueMaaS.Jobs.Deployment;

/// <summary>The figures that a gate can hold against a bound: what they are figures of, and between what they can lie.</summary>
public static class GateMetrics
{
    private static readonly EvaluationTask[] OneLabel = [EvaluationTask.Classification];
    private static readonly EvaluationTask[] SeveralLabels = [EvaluationTask.MultiLabel];
    private static readonly EvaluationTask[] AnyLabels = [EvaluationTask.Classification, EvaluationTask.MultiLabel];
    private static readonly EvaluationTask[] Number = [EvaluationTask.Regression];
    private static readonly double[] Share = [0, 1];
    private static readonly double[] Positive = [0, double.PositiveInfinity];
    private static readonly double[] Any = [double.NegativeInfinity, double.PositiveInfinity];

    private static readonly Dictionary<string, GateMetric> Evaluated = new(StringComparer.Ordinal)
    {
        ["accuracy"] = new(OneLabel, Share, static e => e.Classification?.Accuracy) { Interval = static e => e.Classification?.AccuracyInterval },
        ["top5Accuracy"] = new(OneLabel, Share, static e => e.Classification?.Top5Accuracy),
        ["logLoss"] = new(AnyLabels, Positive, static e => e.Classification?.LogLoss ?? e.MultiLabel?.LogLoss) { Interval = static e => e.Classification?.LogLossInterval ?? e.MultiLabel?.LogLossInterval },
        ["macroPrecision"] = new(AnyLabels, Share, static e => e.Classification?.MacroPrecision ?? e.MultiLabel?.MacroPrecision),
        ["macroRecall"] = new(AnyLabels, Share, static e => e.Classification?.MacroRecall ?? e.MultiLabel?.MacroRecall),
        ["macroF1"] = new(AnyLabels, Share, static e => e.Classification?.MacroF1 ?? e.MultiLabel?.MacroF1) { Interval = static e => e.Classification?.MacroF1Interval ?? e.MultiLabel?.MacroF1Interval },
        ["rocAuc"] = new(AnyLabels, Share, static e => e.Classification?.RocAuc ?? e.MultiLabel?.RocAuc),
        ["prAuc"] = new(AnyLabels, Share, static e => e.Classification?.PrAuc ?? e.MultiLabel?.PrAuc),
        ["ece"] = new(AnyLabels, Share, static e => e.Classification?.Calibration.Ece ?? e.MultiLabel?.Calibration.Ece),
        ["subsetAccuracy"] = new(SeveralLabels, Share, static e => e.MultiLabel?.SubsetAccuracy) { Interval = static e => e.MultiLabel?.SubsetAccuracyInterval },
        ["hammingLoss"] = new(SeveralLabels, Share, static e => e.MultiLabel?.HammingLoss) { Interval = static e => e.MultiLabel?.HammingLossInterval },
        ["microPrecision"] = new(SeveralLabels, Share, static e => e.MultiLabel?.MicroPrecision),
        ["microRecall"] = new(SeveralLabels, Share, static e => e.MultiLabel?.MicroRecall),
        ["microF1"] = new(SeveralLabels, Share, static e => e.MultiLabel?.MicroF1) { Interval = static e => e.MultiLabel?.MicroF1Interval },
        ["mae"] = new(Number, Positive, static e => e.Regression?.Mae) { Interval = static e => e.Regression?.MaeInterval },
        ["rmse"] = new(Number, Positive, static e => e.Regression?.Rmse),
        ["r2"] = new(Number, [double.NegativeInfinity, 1], static e => e.Regression?.R2),
        ["bias"] = new(Number, Any, static e => e.Regression?.Bias),
    };

    private static readonly Dictionary<string, double[]> Validated = new(StringComparer.Ordinal)
    {
        ["validationAccuracy"] = Share,
        ["validationBalancedAccuracy"] = Share,
        ["validationMacroF1"] = Share,
        ["validationLoss"] = Any,
        ["validationError"] = Positive,
        ["validationR2"] = [double.NegativeInfinity, 1],
    };

    /// <summary>Names of an evaluation's figures.</summary>
    public static IReadOnlyCollection<string> EvaluationNames => Evaluated.Keys;

    /// <summary>Names of the figures that a training gives its version.</summary>
    public static IReadOnlyCollection<string> ValidationNames => Validated.Keys;

    /// <summary>A figure of an evaluation; null where there is none of this name.</summary>
    public static GateMetric? FindEvaluated(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        if (Evaluated.TryGetValue(name, out var metric))
            return metric;
        if (name.Split(':', 2) is not [var figure and ("precision" or "recall" or "f1"), { Length: > 0 } label])
            return null;
        return new(AnyLabels, Share, evaluation => Of(evaluation, label, figure)) { Label = label };
    }

    /// <summary>Between what a figure of a version's own can lie.</summary>
    public static double[] RangeOfValidated(string name) => Validated.GetValueOrDefault(name, Any);

    private static double? Of(ModelEvaluation evaluation, string label, string figure)
    {
        var one = evaluation.Classification?.Classes.FirstOrDefault(c => c.Name == label);
        var among = evaluation.MultiLabel?.Labels.FirstOrDefault(l => l.Name == label);
        return figure switch
        {
            "precision" => one?.Precision ?? among?.Precision,
            "recall" => one?.Recall ?? among?.Recall,
            _ => one?.F1 ?? among?.F1,
        };
    }
}

/// <summary>A figure of an evaluation.</summary>
/// <param name="Tasks">Of what it is a figure.</param>
/// <param name="Range">The least and the greatest value it can have.</param>
/// <param name="Read">Reads it; null where the evaluation has none.</param>
public sealed record GateMetric(IReadOnlyList<EvaluationTask> Tasks, double[] Range, Func<ModelEvaluation, double?> Read)
{
    /// <summary>Reads its 95 % interval.</summary>
    public Func<ModelEvaluation, Interval?> Interval { get; init; } = static _ => null;

    /// <summary>The class that it is a figure of; null where it is one of all.</summary>
    public string? Label { get; init; }
}
