namespace QueueMaaS.Contracts;

/// <summary>What must hold before an alias is pointed at a version. At least one condition is given, and all that are given must hold.</summary>
public sealed record DeploymentGate
{
    /// <summary>Bounds of figures, up to 50.</summary>
    public IReadOnlyList<MetricCondition>? Metrics { get; init; }
    /// <summary>The version is not worse than the one that the alias points to when it is decided. Holds where the alias points to none.</summary>
    public NotWorseCondition? NotWorse { get; init; }
    /// <summary>The version is fast enough on the worker that decides.</summary>
    public LatencyCondition? Latency { get; init; }
}

/// <summary>A bound of a figure.</summary>
public sealed record MetricCondition
{
    /// <summary>
    /// Without a data set a figure of the version's own <c>metrics</c>, such as <c>validationAccuracy</c>. With one, a figure of an evaluation on it: <c>accuracy</c>, <c>top5Accuracy</c>, <c>logLoss</c>, <c>macroPrecision</c>,
    /// <c>macroRecall</c>, <c>macroF1</c>, <c>rocAuc</c>, <c>prAuc</c>, <c>ece</c>; of one class <c>precision:LABEL</c>, <c>recall:LABEL</c>, <c>f1:LABEL</c>; of numbers <c>mae</c>, <c>rmse</c>, <c>r2</c>, <c>bias</c>.
    /// </summary>
    public required string Metric { get; init; }
    /// <summary>The figure must be this or greater. One of the two bounds is given, or both.</summary>
    public double? AtLeast { get; init; }
    /// <summary>The figure must be this or smaller.</summary>
    public double? AtMost { get; init; }
    /// <summary>The data set of the evaluation: <c>name</c> or <c>name@version</c>. Default: none.</summary>
    public string? Dataset { get; init; }
    /// <summary>As <see cref="EvaluationInput.Split"/>.</summary>
    public string? Split { get; init; }
    /// <summary>As <see cref="EvaluationInput.Target"/>.</summary>
    public string? Target { get; init; }
}

/// <summary>A comparison with the version that the alias points to, on the same items: by accuracy where the two give labels, by mean absolute error where they give numbers.</summary>
public sealed record NotWorseCondition
{
    /// <summary>The data set: <c>name</c> or <c>name@version</c>.</summary>
    public required string Dataset { get; init; }
    /// <summary>As <see cref="EvaluationInput.Split"/>.</summary>
    public string? Split { get; init; }
    /// <summary>As <see cref="EvaluationInput.Target"/>.</summary>
    public string? Target { get; init; }
    /// <summary>By how much it may be worse, from 0: a share of the items, or units of the error. Default 0.</summary>
    public double Tolerance { get; init; }
    /// <summary>How it is judged. Default <c>figure</c>.</summary>
    public NotWorseJudgement Judgement { get; init; }
}

/// <summary>How a comparison is judged.</summary>
public enum NotWorseJudgement
{
    /// <summary>By the measured difference alone.</summary>
    Figure,
    /// <summary>Worse only where it is worse by more than the tolerance and the difference is real at the 5 % level (McNemar, or paired bootstrap of the errors): the benefit of the doubt is the new version's.</summary>
    Significance,
    /// <summary>Not worse only where the whole 95 % interval of the difference lies within the tolerance (non-inferiority): the benefit of the doubt is the old version's.</summary>
    Interval,
}

/// <summary>A bound of the time that one request takes: made-up rows through the loaded model and its batcher, one request after another.</summary>
public sealed record LatencyCondition
{
    /// <summary>99 % of the requests take no longer, above 0 to 600,000 milliseconds.</summary>
    public required double P99Ms { get; init; }
    /// <summary>Rows of a request, 1 to 1,024. Default 1.</summary>
    public int BatchSize { get; init; } = 1;
    /// <summary>Requests measured, 100 to 10,000, after some to warm up. Default 300.</summary>
    public int Runs { get; init; } = 300;
}

/// <summary>The input of a promotion: point an alias at a version if a gate holds.</summary>
public sealed record PromotionInput
{
    /// <summary>The version: <c>name@3</c> or <c>name@alias</c>, taken when it is submitted.</summary>
    public required string Model { get; init; }
    /// <summary>The alias to point at it, such as <c>production</c>.</summary>
    public required string Alias { get; init; }
    /// <summary>What must hold.</summary>
    public required DeploymentGate Gate { get; init; }
}

/// <summary>Asks for a promotion (<c>POST /v1/models/{reference}/promote</c>).</summary>
public sealed record PromotionRequest
{
    /// <summary>The alias to point at the version. Default <c>production</c>.</summary>
    public string Alias { get; init; } = "production";
    /// <summary>What must hold.</summary>
    public required DeploymentGate Gate { get; init; }
}

/// <summary>What was decided about a version of a model, by whom and why. Never changed.</summary>
public sealed record ModelDecision
{
    /// <summary>Sorts by time.</summary>
    public required string Id { get; init; }
    /// <summary>When.</summary>
    public required DateTimeOffset At { get; init; }
    /// <summary>The model.</summary>
    public required string Model { get; init; }
    /// <summary>The version that was judged.</summary>
    public required int Version { get; init; }
    /// <summary>The alias that it was about.</summary>
    public required string Alias { get; init; }
    /// <summary>What came of it.</summary>
    public required DecisionOutcome Outcome { get; init; }
    /// <summary>The version that the alias pointed to before; left out where it pointed to none.</summary>
    public int? Before { get; init; }
    /// <summary>Who decided: <c>job …</c> or <c>rollout …</c>.</summary>
    public required string By { get; init; }
    /// <summary>Why, in a sentence.</summary>
    public required string Reason { get; init; }
    /// <summary>Every condition with what was measured.</summary>
    public required IReadOnlyList<JudgedCondition> Conditions { get; init; }
}

/// <summary>What came of a decision.</summary>
public enum DecisionOutcome
{
    /// <summary>The alias points to the version now.</summary>
    Promoted,
    /// <summary>A condition did not hold: the alias was left alone.</summary>
    Refused,
    /// <summary>A rollout began: the version takes its first share of the traffic.</summary>
    Started,
    /// <summary>A rollout goes on: the version takes a greater share of the traffic.</summary>
    Advanced,
    /// <summary>A rollout ended without promotion: the version takes no share of the traffic any more.</summary>
    RolledBack,
}

/// <summary>A condition with what was measured.</summary>
/// <param name="Condition">The condition, such as <c>accuracy ≥ 0.7 on animals@2 (test)</c>.</param>
/// <param name="Held">Whether it held.</param>
/// <param name="Reason">What was found, in a sentence.</param>
/// <param name="Measured">The measured value; left out where it could not be measured.</param>
/// <param name="Limit">What it was held against.</param>
public sealed record JudgedCondition(string Condition, bool Held, string Reason, double? Measured = null, double? Limit = null)
{
    /// <summary>The 95 % interval of the measured value, where there is one.</summary>
    public Interval? Interval { get; init; }
    /// <summary>The probability of such a difference where there is none, where it was tested.</summary>
    public double? PValue { get; init; }
    /// <summary>The evaluation's page, <c>sha256:…</c>, where the condition rests on one.</summary>
    public string? Report { get; init; }
}
