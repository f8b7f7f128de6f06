using QueueMaaS.Contracts;

namespace QueueMaaS.Jobs.Deployment;

/// <summary>The figures that a gate can hold against a bound: what they are figures of, and between what they can lie.</summary>
public static class GateMetrics
{
    private static readonly double[] Share = [0, 1];
    private static readonly double[] Positive = [0, double.PositiveInfinity];
    private static readonly double[] Any = [double.NegativeInfinity, double.PositiveInfinity];

    private static readonly Dictionary<string, GateMetric> Evaluated = new(StringComparer.Ordinal)
    {
        ["accuracy"] = new(EvaluationTask.Classification, Share, static e => e.Classification?.Accuracy) { Interval = static e => e.Classification?.AccuracyInterval },
        ["top5Accuracy"] = new(EvaluationTask.Classification, Share, static e => e.Classification?.Top5Accuracy),
        ["logLoss"] = new(EvaluationTask.Classification, Positive, static e => e.Classification?.LogLoss) { Interval = static e => e.Classification?.LogLossInterval },
        ["macroPrecision"] = new(EvaluationTask.Classification, Share, static e => e.Classification?.MacroPrecision),
        ["macroRecall"] = new(EvaluationTask.Classification, Share, static e => e.Classification?.MacroRecall),
        ["macroF1"] = new(EvaluationTask.Classification, Share, static e => e.Classification?.MacroF1) { Interval = static e => e.Classification?.MacroF1Interval },
        ["rocAuc"] = new(EvaluationTask.Classification, Share, static e => e.Classification?.RocAuc),
        ["prAuc"] = new(EvaluationTask.Classification, Share, static e => e.Classification?.PrAuc),
        ["ece"] = new(EvaluationTask.Classification, Share, static e => e.Classification?.Calibration.Ece),
        ["mae"] = new(EvaluationTask.Regression, Positive, static e => e.Regression?.Mae) { Interval = static e => e.Regression?.MaeInterval },
        ["rmse"] = new(EvaluationTask.Regression, Positive, static e => e.Regression?.Rmse),
        ["r2"] = new(EvaluationTask.Regression, [double.NegativeInfinity, 1], static e => e.Regression?.R2),
        ["bias"] = new(EvaluationTask.Regression, Any, static e => e.Regression?.Bias),
    };

    private static readonly Dictionary<string, double[]> Validated = new(StringComparer.Ordinal)
    {
        ["validationAccuracy"] = Share,
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
        return new(EvaluationTask.Classification, Share, evaluation => Of(evaluation.Classification?.Classes.FirstOrDefault(c => c.Name == label), figure)) { Label = label };
    }

    /// <summary>Between what a figure of a version's own can lie.</summary>
    public static double[] RangeOfValidated(string name) => Validated.GetValueOrDefault(name, Any);

    private static double? Of(ClassFigures? figures, string figure) => figure switch
    {
        "precision" => figures?.Precision,
        "recall" => figures?.Recall,
        _ => figures?.F1,
    };
}

/// <summary>A figure of an evaluation.</summary>
/// <param name="Task">Of what it is a figure.</param>
/// <param name="Range">The least and the greatest value it can have.</param>
/// <param name="Read">Reads it; null where the evaluation has none.</param>
public sealed record GateMetric(EvaluationTask Task, double[] Range, Func<ModelEvaluation, double?> Read)
{
    /// <summary>Reads its 95 % interval.</summary>
    public Func<ModelEvaluation, Interval?> Interval { get; init; } = static _ => null;

    /// <summary>The class that it is a figure of; null where it is one of all.</summary>
    public string? Label { get; init; }
}
