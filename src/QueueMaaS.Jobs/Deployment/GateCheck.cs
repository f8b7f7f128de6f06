using System.Globalization;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Catalog;

namespace QueueMaaS.Jobs.Deployment;

/// <summary>What is known of the version that a gate is for, before it is judged or even trained.</summary>
/// <param name="Task">What it gives; null where that is not known yet, or is neither labels nor a number.</param>
/// <param name="Labels">Its labels; null where they are not known yet.</param>
/// <param name="Metrics">The figures that it has or will have of its own.</param>
public sealed record GateSubject(EvaluationTask? Task, IReadOnlyList<string>? Labels, IReadOnlyCollection<string> Metrics);

/// <summary>Refuses gates that are unknown in a part or can never hold, when they are handed in.</summary>
public sealed class GateCheck(IDatasetCatalog datasets)
{
    private const int MostMetrics = 50;
    private const int MostRows = 1024;
    private const double MostMilliseconds = 600_000;

    /// <summary>The part of the check that needs to look nowhere: that numbers are within their ranges. Those that no double can hold could not be written again by whoever passes a gate on.</summary>
    /// <exception cref="ProblemException"><c>gate_invalid</c>.</exception>
    public static void RequireNumbers(DeploymentGate gate)
    {
        ArgumentNullException.ThrowIfNull(gate);
        foreach (var (index, condition) in (gate.Metrics ?? []).Index())
            RequireNumbers($"gate.metrics[{index}]", condition);
        if (gate.NotWorse is { } notWorse)
            CheckTolerance(notWorse);
        if (gate.Latency is { } latency)
            CheckLatency(latency);
    }

    /// <exception cref="ProblemException"><c>gate_invalid</c>, <c>metric_unknown</c>, <c>dataset_not_found</c> or <c>dataset_empty</c>.</exception>
    public async Task CheckAsync(string tenant, DeploymentGate gate, GateSubject subject, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(gate);
        ArgumentNullException.ThrowIfNull(subject);
        if (gate is { Metrics: null or { Count: 0 }, NotWorse: null, Latency: null })
            throw Invalid("gate", "`gate` has no condition. Give `metrics`, `notWorse` or `latency`, or deploy without a gate.");
        if (gate.Metrics is { Count: > MostMetrics })
            throw Invalid("gate.metrics", $"`gate.metrics` has {gate.Metrics.Count} conditions; at most {MostMetrics} are taken.");
        RequireNumbers(gate);
        foreach (var (index, condition) in (gate.Metrics ?? []).Index())
            await CheckMetricAsync(tenant, $"gate.metrics[{index}]", condition, subject, cancellationToken);
        if (gate.NotWorse is { } notWorse)
            await CheckDataAsync(tenant, "gate.notWorse", notWorse.Dataset, notWorse.Split, notWorse.Target, cancellationToken);
    }

    private static void RequireNumbers(string path, MetricCondition? condition)
    {
        if (condition is null)
            throw Invalid(path, $"`{path}` is null. Give a condition, or leave it out.");
        foreach (var (name, bound) in new[] { ("atLeast", condition.AtLeast), ("atMost", condition.AtMost) })
        {
            if (bound is { } number && !double.IsFinite(number))
                throw Invalid($"{path}.{name}", $"`{path}.{name}` must be a number from {Text(double.MinValue)} to {Text(double.MaxValue)}.");
        }
    }

    private static void CheckTolerance(NotWorseCondition notWorse)
    {
        if (notWorse.Tolerance is not (>= 0 and < double.PositiveInfinity))
            throw Invalid("gate.notWorse.tolerance", $"`gate.notWorse.tolerance` must be from 0 to {Text(double.MaxValue)}: by how much the version may be worse.");
    }

    private static void CheckLatency(LatencyCondition latency)
    {
        if (latency.P99Ms is not (> 0 and <= MostMilliseconds))
            throw Invalid("gate.latency.p99Ms", $"`gate.latency.p99Ms` is {Text(latency.P99Ms)}; it must be above 0 and at most 600,000.");
        if (latency.BatchSize is < 1 or > MostRows)
            throw Invalid("gate.latency.batchSize", $"`gate.latency.batchSize` is {latency.BatchSize}; it must be from 1 to {MostRows:N0}.");
        if (latency.Runs is < 100 or > 10_000)
            throw Invalid("gate.latency.runs", $"`gate.latency.runs` is {latency.Runs}; it must be from 100 (fewer say nothing of the slowest in a hundred) to 10,000.");
    }

    private async Task CheckMetricAsync(string tenant, string path, MetricCondition condition, GateSubject subject, CancellationToken cancellationToken)
    {
        var range = condition.Dataset is null ? OwnRange(path, condition, subject) : await EvaluatedRangeAsync(tenant, path, condition, subject, cancellationToken);
        if (condition is { AtLeast: null, AtMost: null })
            throw Invalid(path, $"`{path}` has no bound. Give `atLeast`, `atMost` or both for `{condition.Metric}`.");
        if (condition.AtLeast is { } least && least > range[1])
            throw Invalid($"{path}.atLeast", $"`{path}` can never hold: `{condition.Metric}` is never {Text(least)} or greater; its greatest value is {Text(range[1])}.");
        if (condition.AtMost is { } most && most < range[0])
            throw Invalid($"{path}.atMost", $"`{path}` can never hold: `{condition.Metric}` is never {Text(most)} or smaller; its smallest value is {Text(range[0])}.");
        if (condition.AtLeast > condition.AtMost)
            throw Invalid(path, $"`{path}` can never hold: `atLeast` is {Text(condition.AtLeast.Value)} and `atMost` is {Text(condition.AtMost.Value)}.");
    }

    private static double[] OwnRange(string path, MetricCondition condition, GateSubject subject)
    {
        if (condition.Split is not null || condition.Target is not null)
            throw Invalid(path, $"`{path}` has a `split` or `target` but no `dataset`. Name the data set that `{condition.Metric}` is to be measured on.");
        if (subject.Metrics.Contains(condition.Metric))
            return GateMetrics.RangeOfValidated(condition.Metric);
        var hint = GateMetrics.FindEvaluated(condition.Metric) is null ? "" : $" `{condition.Metric}` is a figure of an evaluation: say on which `dataset`.";
        throw Unknown(path, condition.Metric, $"`{path}` names `{condition.Metric}`, which the version has no figure of.{hint} {Known(subject)}");
    }

    private static string Known(GateSubject subject) =>
        subject.Metrics.Count == 0 ? "It has no figures of its own." : $"Its own figures are {string.Join(", ", subject.Metrics.Select(static name => $"`{name}`"))}.";

    private async Task<double[]> EvaluatedRangeAsync(string tenant, string path, MetricCondition condition, GateSubject subject, CancellationToken cancellationToken)
    {
        if (GateMetrics.FindEvaluated(condition.Metric) is not { } metric)
        {
            throw Unknown(
                path, condition.Metric,
                $"`{path}` names `{condition.Metric}`, which is no figure of an evaluation. There are {string.Join(", ", GateMetrics.EvaluationNames.Select(static name => $"`{name}`"))}, and of one class `precision:LABEL`, `recall:LABEL`, `f1:LABEL`.");
        }

        if (subject.Task is { } task && !metric.Tasks.Contains(task))
            throw Unknown(path, condition.Metric, $"`{path}` names `{condition.Metric}`, a figure of {Given(metric.Tasks[0])}, but the version gives {Given(task)}.");
        if (metric.Label is { } label && subject.Labels is { } labels && !labels.Contains(label, StringComparer.Ordinal))
            throw Unknown(path, condition.Metric, $"`{path}` names the class `{label}`, which the version does not know. It knows {string.Join(", ", labels.Take(20).Select(static l => $"`{l}`"))}{(labels.Count > 20 ? ", …" : "")}.");
        if (condition.Metric == "top5Accuracy" && subject.Labels is { Count: <= 5 })
            throw Unknown(path, condition.Metric, $"`{path}` names `top5Accuracy`, which is always 1 for five labels or fewer and is not measured. Use `accuracy`.");
        await CheckDataAsync(tenant, path, condition.Dataset!, condition.Split, condition.Target, cancellationToken);
        return metric.Range;
    }

    private async Task CheckDataAsync(string tenant, string path, string name, string? split, string? target, CancellationToken cancellationToken)
    {
        var dataset = await datasets.RequireAsync(tenant, name, cancellationToken);
        if (split is not null && !Identifiers.IsSplit(split))
            throw Invalid($"{path}.split", $"`{path}.split` must be `train`, `test`, `val` or `all`.");
        if (split is not (null or "all") && dataset.Card.Splits.GetValueOrDefault(split) == 0)
        {
            throw new ProblemException(
                ProblemCodes.DatasetEmpty,
                $"The split `{split}` of data set `{dataset.Name}@{dataset.Version}` has no items; it has {string.Join(", ", dataset.Card.Splits.Select(static s => $"`{s.Key}` ({s.Value:N0})"))}, and `all` takes everything.", ("path", $"input.{path}.split"), ("split", split));
        }

        if (target is not null && dataset.Card.Columns?.Any(column => column.Name == target) != true)
            throw new ProblemException(ProblemCodes.ColumnNotFound, $"`{path}.target` names the column `{target}`, which data set `{dataset.Name}@{dataset.Version}` does not have.", ("path", $"input.{path}.target"), ("column", target));
    }

    private static string Given(EvaluationTask task) => task switch
    {
        EvaluationTask.MultiLabel => "several labels at once",
        EvaluationTask.Regression => "numbers",
        _ => "labels",
    };

    private static string Text(double value) => value.ToString(CultureInfo.InvariantCulture);

    private static ProblemException Invalid(string path, string message) => new(ProblemCodes.GateInvalid, message, ("path", $"input.{path}"));

    private static ProblemException Unknown(string path, string metric, string message) => new(ProblemCodes.MetricUnknown, message, ("path", $"input.{path}.metric"), ("metric", metric));
}
