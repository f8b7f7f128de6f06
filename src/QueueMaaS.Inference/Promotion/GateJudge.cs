using System.Globalization;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Deployment;

namespace QueueMaaS.Inference.Promotion;

/// <summary>Holds what was measured against the conditions of a gate. What could not be measured does not hold.</summary>
internal static class GateJudge
{
    private const double Level = 0.05;

    /// <param name="condition">The condition.</param>
    /// <param name="version">The version with figures of its own.</param>
    /// <param name="evaluation">The evaluation on the condition's data set, where it names one, or why there is none.</param>
    public static JudgedCondition Metric(MetricCondition condition, ModelVersion version, GateEvaluation? evaluation)
    {
        var text = $"{Bounds(condition)}{Where(evaluation, condition.Dataset)}";
        if (evaluation is { Output: null })
            return NotMeasured(text, evaluation);
        var metric = condition.Dataset is null ? null : GateMetrics.FindEvaluated(condition.Metric);
        var measured = metric is null ? OwnFigure(version, condition.Metric) : metric.Read(evaluation!.Output!.Model);
        var limit = condition.AtLeast ?? condition.AtMost;
        if (measured is not { } value || double.IsNaN(value))
            return new(text, false, $"`{condition.Metric}` has no value, so the condition does not hold.", null, limit) { Report = evaluation?.Output?.ReportArtifact };
        var within = (condition.AtLeast is not { } least || value >= least) && (condition.AtMost is not { } most || value <= most);
        var uncomputed = Uncomputed(evaluation?.Output);
        var held = within && uncomputed is null;
        var verdict = within ? "as asked for" : value < condition.AtLeast ? "which is not enough" : "which is too much";
        return new(text, held, $"{uncomputed}`{condition.Metric}` is {Text(value)}, {verdict}{(evaluation is null ? "" : $", over {evaluation.Output!.Items:N0} items")}.{LeftOut(evaluation?.Output)}", value, limit)
        {
            Interval = metric?.Interval(evaluation!.Output!.Model),
            Report = evaluation?.Output?.ReportArtifact,
        };
    }

    /// <param name="condition">The condition.</param>
    /// <param name="alias">The alias.</param>
    /// <param name="version">The version that is judged.</param>
    /// <param name="before">The version that the alias points to; null: none.</param>
    /// <param name="evaluation">The evaluation of both, or why there is none; null where nothing had to be compared.</param>
    public static JudgedCondition NotWorse(NotWorseCondition condition, string alias, int version, int? before, GateEvaluation? evaluation)
    {
        var text = $"not worse than `{alias}`{Where(evaluation, condition.Dataset)}, tolerance {Text(condition.Tolerance)}, by {condition.Judgement.ToString().ToLowerInvariant()}";
        if (before is null)
            return new(text, true, $"`{alias}` points to no version, so there is nothing to be worse than.");
        if (before == version)
            return new(text, true, $"`{alias}` points to this version already.");
        if (evaluation is not { Output.Comparison: { } comparison, Output: { } output })
            return NotMeasured(text, evaluation);
        // By how much it is better; for errors the smaller is the better.
        var sign = output.Task == EvaluationTask.Regression ? -1 : 1;
        var gain = sign * comparison.Difference;
        var interval = sign > 0 ? comparison.DifferenceInterval : new(-comparison.DifferenceInterval.High, -comparison.DifferenceInterval.Low);
        var within = gain >= -condition.Tolerance;
        var uncomputed = Uncomputed(output);
        var held = uncomputed is null && condition.Judgement switch
        {
            NotWorseJudgement.Significance => within || comparison.PValue >= Level,
            NotWorseJudgement.Interval => interval.Low >= -condition.Tolerance,
            _ => within,
        };
        var by = $"{(gain < 0 ? $"worse by {Text(-gain)}" : $"better by {Text(gain)}")} ({FigureOf(output.Task)})";
        var reason = condition.Judgement switch
        {
            NotWorseJudgement.Significance when comparison.PValue < Level && within && gain < 0 => $"{comparison.Sentence} The tolerance of {Text(condition.Tolerance)} allows as much.",
            NotWorseJudgement.Significance => comparison.Sentence,
            NotWorseJudgement.Interval => $"Version {version} is {by}, with a 95 % interval of {Text(interval.Low)} to {Text(interval.High)} of what it is better by: {(held ? "all of it is" : "its lower end is not")} within the tolerance of {Text(condition.Tolerance)}.",
            _ => $"Version {version} is {by}, which the tolerance of {Text(condition.Tolerance)} {(held ? "allows" : "does not allow")}. Whether chance alone may give that (p = {Text(comparison.PValue)}) is not asked where the judgement is `figure`.",
        };
        var verdict = uncomputed is not null
            ? $"{uncomputed}It is {by} over the {output.Items:N0} items that both could compute."
            : $"{reason} Version {version} {(held ? "is held to be not worse than" : condition.Judgement == NotWorseJudgement.Interval ? "is not shown to be as good as" : "is held to be worse than")} version {before}.";
        return new(text, held, verdict + LeftOut(output), gain, -condition.Tolerance)
        {
            Interval = interval,
            PValue = comparison.PValue,
            Report = output.ReportArtifact,
        };
    }

    /// <param name="condition">The condition.</param>
    /// <param name="measured">Milliseconds, ascending; or why there are none.</param>
    /// <param name="error">Why nothing could be measured.</param>
    /// <param name="worker">Where it was measured.</param>
    /// <param name="others">Requests of others that the worker was computing meanwhile.</param>
    public static JudgedCondition Latency(LatencyCondition condition, double[]? measured, Problem? error, string worker, int others)
    {
        var text = $"latency p99 ≤ {Text(condition.P99Ms)} ms at {condition.BatchSize} row{(condition.BatchSize == 1 ? "" : "s")}";
        if (measured is null)
            return new(text, false, $"It could not be measured: {error?.Message}", null, condition.P99Ms);
        var p99 = LatencyMeasurement.P99(measured);
        // One that was cut short was slower than the limit all the while.
        var held = measured.Length == condition.Runs && p99 <= condition.P99Ms;
        var busy = others > 0 ? $", while {others} other request{(others == 1 ? " was" : "s were")} under way" : "";
        return new(text, held, $"99 % of {measured.Length} requests took no longer than {Text(p99)} ms (half of them {Text(measured[measured.Length / 2])} ms) on {worker}{busy}.", p99, condition.P99Ms);
    }

    /// <summary>What a version that is judged could not compute; null where it computed all. Whatever its figure over the rest, callers would be left without an answer.</summary>
    private static string? Uncomputed(EvaluationOutput? output)
    {
        if (output is not { Model: { Uncomputed: > 0 and var count } model })
            return null;
        var readable = output.Items + output.Failed - output.Unreadable;
        return $"`{model.Name}` could not compute {count:N0} of {readable:N0} items, so the condition does not hold. The first: {model.FirstUncomputed?.Message} ";
    }

    /// <summary>Items that are in no figure through no fault of the version that is judged.</summary>
    private static string LeftOut(EvaluationOutput? output)
    {
        var unreadable = output is { Unreadable: > 0 and var damaged } ? $" {damaged:N0} items of the data set can be given to no model and are left out." : "";
        return output is { Compared: { Uncomputed: > 0 and var count } other } ? $"{unreadable} {count:N0} items that `{other.Name}` could not compute are left out, too." : unreadable;
    }

    private static JudgedCondition NotMeasured(string text, GateEvaluation? evaluation) => new(text, false, $"It could not be measured: {evaluation?.Error?.Message ?? "there is no evaluation of it."}");

    private static double? OwnFigure(ModelVersion version, string name) => version.Metrics?.TryGetValue(name, out var value) == true ? value : null;

    private static string FigureOf(EvaluationTask task) => task switch
    {
        EvaluationTask.Regression => "mean absolute error",
        EvaluationTask.MultiLabel => "macro F1",
        _ => "accuracy",
    };

    private static string Bounds(MetricCondition condition) => condition switch
    {
        { AtLeast: { } least, AtMost: { } most } => $"{Text(least)} ≤ {condition.Metric} ≤ {Text(most)}",
        { AtLeast: { } least } => $"{condition.Metric} ≥ {Text(least)}",
        _ => $"{condition.Metric} ≤ {Text(condition.AtMost!.Value)}",
    };

    private static string Where(GateEvaluation? evaluation, string? dataset) =>
        evaluation?.Output is { } output ? $" on {output.Dataset.Name} ({output.Dataset.Split})" : dataset is null ? "" : $" on {dataset}";

    private static string Text(double value) => Math.Round(value, 6).ToString(CultureInfo.InvariantCulture);
}

/// <summary>An evaluation that conditions rest on, or why it failed.</summary>
internal sealed record GateEvaluation(EvaluationInput Input, EvaluationOutput? Output, Problem? Error);
