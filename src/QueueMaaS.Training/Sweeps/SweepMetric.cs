using QueueMaaS.Contracts;

namespace QueueMaaS.Training.Sweeps;

/// <summary>What the trials of a sweep are compared by.</summary>
internal static class SweepMetric
{
    public const string Accuracy = "validationAccuracy";
    public const string Loss = "validationLoss";
    public const string Error = "validationError";
    public const string R2 = "validationR2";

    private static readonly string[] Known = [Accuracy, Loss, Error, R2];

    /// <exception cref="ProblemException"><c>metric_unknown</c>: there is none of this name, or the task has no such figure.</exception>
    public static void Require(string? metric, TrainingTask? task)
    {
        if (metric is null)
            return;
        if (!Known.Contains(metric, StringComparer.Ordinal))
            throw new ProblemException(ProblemCodes.MetricUnknown, $"`metric` is `{metric}`, which is no figure of a training. There are {string.Join(", ", Known.Select(k => $"`{k}`"))}.", ("metric", metric), ("known", Known));
        if (task is { } known && HasClasses(known) != (metric == Accuracy) && metric != Loss)
            throw new ProblemException(ProblemCodes.MetricUnknown, $"`metric` is `{metric}`, but {(HasClasses(known) ? "a training with classes has `validationAccuracy` and `validationLoss`" : "a training on numbers has `validationLoss`, `validationError` and `validationR2`")}.", ("metric", metric), ("task", known));
    }

    /// <summary>What is compared where nothing was asked for.</summary>
    public static string Default(TrainingTask task) => HasClasses(task) ? Accuracy : Loss;

    /// <summary>Whether the first figure is the better one.</summary>
    public static bool IsBetter(string metric, double first, double second) => metric is Accuracy or R2 ? first > second : first < second;

    /// <summary>Puts the better figure first.</summary>
    public static int Compare(string metric, double first, double second) => IsBetter(metric, first, second) ? -1 : IsBetter(metric, second, first) ? 1 : 0;

    private static bool HasClasses(TrainingTask task) => task is TrainingTask.Classification or TrainingTask.MultiLabel;
}
