using QueueMaaS.Contracts;

namespace QueueMaaS.Training.Running;

/// <summary>Refuses values out of range, naming the field.</summary>
internal static class Check
{
    public const string Name = "1 to 64 of lower-case letters, digits and '- _ .', beginning with a letter or digit";

    public static void That(bool holds, string field, object? value, string range)
    {
        if (!holds)
            throw Invalid(field, value, range);
    }

    public static T InRange<T>(string field, T value, T least, T most)
        where T : struct, IComparable<T>
    {
        // Written so that NaN, which compares below everything, is refused as well.
        That(value.CompareTo(least) >= 0 && value.CompareTo(most) <= 0, field, value, $"from {least} to {most}");
        return value;
    }

    public static void Above(string field, double? value, double above, double most) =>
        That(value is not { } v || (v > above && v <= most), field, value, $"a number above {above} and at most {most}");

    public static void Share(string field, double? value) => That(value is not { } v || (v >= 0 && v < 1), field, value, "from 0 to below 1");

    private static ProblemException Invalid(string field, object? value, string range) => new(
        ProblemCodes.InvalidValue, $"The field '{field}' of the training input is {(value is null ? "missing" : $"'{value}'")}; it has to be {range}.",
        ("field", field), ("value", value is double d && !double.IsFinite(d) ? d.ToString() : value), ("allowed", range));
}

/// <summary>Checks how a training runs.</summary>
internal static class SettingsCheck
{
    public static StartingModel? Start(StartingModel? start)
    {
        if (start is null)
            return null;
        Check.That(VersionReference.TryParse(start.Model, out _), "startFrom.model", start.Model, "'name', 'name@3' or 'name@alias'");
        foreach (var (member, patterns) in (ReadOnlySpan<(string, IReadOnlyList<string>?)>)[("freeze", start.Freeze), ("reset", start.Reset)])
            Check.That(patterns is null || patterns.All(p => p.Length is > 0 and <= 200), $"startFrom.{member}", "empty or too long", "layer ids of 1 to 200 characters");
        return start;
    }

    public static LossSettings Of(LossSettings loss)
    {
        Check.Share("loss.labelSmoothing", loss.LabelSmoothing);
        Check.Above("loss.beta", loss.Beta, 0, 1e6);
        Check.That(loss.ClassWeights is null || !loss.Balanced, "loss.balanced", "true", "left out where 'classWeights' are given");
        foreach (var (name, weight) in loss.ClassWeights ?? new Dictionary<string, double>())
            Check.That(weight is >= 0 and <= 1e6, $"loss.classWeights.{name}", weight, "from 0 to 1000000");
        return loss;
    }

    public static OptimizationSettings Of(OptimizationSettings settings, string optimizer)
    {
        Check.Share("optimization.momentum", settings.Momentum);
        Check.That(settings.Momentum is null || optimizer is "sgd" or "muon" or "rmsprop", "optimization.momentum", settings.Momentum, "left out unless the optimizer is sgd, muon or rmsprop");
        Check.That(!settings.NormalizeWeights || optimizer == "muon", "optimization.normalizeWeights", "true", "left out unless the optimizer is muon");
        Check.That(!settings.Nesterov || optimizer == "sgd", "optimization.nesterov", "true", "left out unless the optimizer is sgd");
        Check.That(!settings.Nesterov || settings.Momentum is not 0, "optimization.nesterov", "true", "left out without momentum");
        Check.Share("optimization.beta1", settings.Beta1);
        Check.Share("optimization.beta2", settings.Beta2);
        Check.Above("optimization.epsilon", settings.Epsilon, 0, 1);
        if (settings.WeightDecay is { } decay)
            Check.InRange("optimization.weightDecay", decay, 0, 1);
        Check.Above("optimization.clipNorm", settings.ClipNorm, 0, 1e9);
        Check.Above("optimization.clipValue", settings.ClipValue, 0, 1e9);
        Check.InRange("optimization.accumulate", settings.Accumulate, 1, 1_024);
        Check.That(settings.AverageDecay is null or (> 0 and < 1), "optimization.averageDecay", settings.AverageDecay, "above 0 and below 1");
        for (var i = 0; i < (settings.Groups?.Count ?? 0); i++)
        {
            var group = settings.Groups![i];
            Check.That(group.Match.Length is > 0 and <= 200, $"optimization.groups[{i}].match", group.Match, "a name of 1 to 200 characters");
            Check.InRange($"optimization.groups[{i}].learningRateScale", group.LearningRateScale, 0, 1_000);
            Check.Share($"optimization.groups[{i}].momentum", group.Momentum);
            Check.That(group.Momentum is null || optimizer is "sgd" or "muon", $"optimization.groups[{i}].momentum", group.Momentum, "left out unless the optimizer is sgd or muon");
            if (group.WeightDecay is { } own)
                Check.InRange($"optimization.groups[{i}].weightDecay", own, 0, 1);
        }

        return settings;
    }

    public static ScheduleSettings Of(ScheduleSettings schedule)
    {
        Check.InRange("schedule.warmUpSteps", schedule.WarmUpSteps, 0, 10_000_000);
        Check.That(schedule.WarmUpSteps == 0 || schedule.Kind != ScheduleKind.OneCycle, "schedule.warmUpSteps", schedule.WarmUpSteps, "left out with oneCycle, which has a warm-up of its own");
        if (schedule.Every is { } every)
            Check.InRange("schedule.every", every, 1, 1_000);
        Check.That(schedule.Factor is null or (> 0 and < 1), "schedule.factor", schedule.Factor, "above 0 and below 1");
        Check.InRange("schedule.floor", schedule.Floor, 0, 1);
        Check.That(schedule.Peak is > 0 and < 1, "schedule.peak", schedule.Peak, "above 0 and below 1");
        Check.Above("schedule.start", schedule.Start, 0, 1);
        Check.InRange("schedule.patience", schedule.Patience, 0, 1_000);
        return schedule;
    }

    public static ViewSettings? Of(ViewSettings? views)
    {
        if (views is not null)
            Check.InRange("views.shift", views.Shift, 0, 64);
        return views;
    }

    public static StoppingSettings Of(StoppingSettings stopping)
    {
        if (stopping.Patience is { } patience)
            Check.InRange("stopping.patience", patience, 1, 1_000);
        Check.InRange("stopping.leastGain", stopping.LeastGain, 0, 1e6);
        Check.Above("stopping.maxMinutes", stopping.MaxMinutes, 0, 1e6);
        return stopping;
    }

    public static CheckpointSettings Of(CheckpointSettings checkpoints)
    {
        Check.InRange("checkpoints.everyEpochs", checkpoints.EveryEpochs, 1, 1_000);
        Check.Above("checkpoints.everyMinutes", checkpoints.EveryMinutes, 0, 1e6);
        Check.InRange("checkpoints.keep", checkpoints.Keep, 1, 1_000);
        return checkpoints;
    }
}
