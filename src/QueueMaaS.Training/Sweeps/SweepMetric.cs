using QueueMaaS.Contracts;

namespace QueueMaaS.Training.Sweeps;

/// <summary>What the trials of a sweep are compared by.</summary>
internal static class SweepMetric
{
    public const string Accuracy = "validationAccuracy";
    public const string BalancedAccuracy = "validationBalancedAccuracy";
    public const string MacroF1 = "validationMacroF1";
    public const string Loss = "validationLoss";
    public const string Error = "validationError";
    public const string R2 = "validationR2";

    private static readonly string[] Known = [Accuracy, BalancedAccuracy, MacroF1, Loss, Error, R2];

    /// <exception cref="ProblemException"><c>metric_unknown</c>: there is none of this name, or the task has no such figure.</exception>
    public static void Require(string? metric, TrainingTask? task)
    {
        if (metric is null)
            return;
        if (!Known.Contains(metric, StringComparer.Ordinal))
            throw new ProblemException(ProblemCodes.MetricUnknown, $"`metric` is `{metric}`, which is no figure of a training. There are {string.Join(", ", Known.Select(k => $"`{k}`"))}.", ("metric", metric), ("known", Known));
        if (task is not { } known)
            return;
        var (what, has) = known switch
        {
            TrainingTask.Classification => ("with classes", (string[])[Accuracy, BalancedAccuracy, MacroF1, Loss]),
            TrainingTask.MultiLabel => ("with several labels at once", [Accuracy, Loss]),
            _ => ("on numbers", [Loss, Error, R2]),
        };
        if (!has.Contains(metric, StringComparer.Ordinal))
            throw new ProblemException(ProblemCodes.MetricUnknown, $"`metric` is `{metric}`, but a training {what} has {string.Join(", ", has.Select(static one => $"`{one}`"))}.", ("metric", metric), ("task", known));
    }

    /// <exception cref="ProblemException"><c>search_invalid</c>: losses of different kinds are to be compared.</exception>
    public static void RequireOneUnit(string? metric, string? lossField)
    {
        if (metric == Loss && lossField is not null)
        {
            throw new ProblemException(
                ProblemCodes.SearchInvalid, $"`metric` is `{Loss}`, but `search.space` varies `{lossField}`: losses of different kinds are in different units and cannot be compared. Compare by `{Accuracy}` where there are classes, else by `{Error}` or `{R2}`.",
                ("field", lossField), ("metric", metric), ("path", "input.metric"));
        }
    }

    /// <summary>What is compared where nothing was asked for.</summary>
    /// <param name="task">What is learned.</param>
    /// <param name="lossVaries">True: the trials' losses are in different units.</param>
    public static string Default(TrainingTask task, bool lossVaries) => HasClasses(task) ? Accuracy : lossVaries ? Error : Loss;

    /// <summary>Whether the first figure is the better one.</summary>
    public static bool IsBetter(string metric, double first, double second) => metric is Accuracy or BalancedAccuracy or MacroF1 or R2 ? first > second : first < second;

    /// <summary>Puts the better figure first.</summary>
    public static int Compare(string metric, double first, double second) => IsBetter(metric, first, second) ? -1 : IsBetter(metric, second, first) ? 1 : 0;

    private static bool HasClasses(TrainingTask task) => task is TrainingTask.Classification or TrainingTask.MultiLabel;
}
