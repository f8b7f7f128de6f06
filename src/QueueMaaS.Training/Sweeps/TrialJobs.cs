using System.Globalization;
using System.Text.Json;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Life;
using QueueMaaS.Training.Auto;
using QueueMaaS.Training.Recipes;

namespace QueueMaaS.Training.Sweeps;

/// <summary>The child jobs of a sweep: their ids say which trial and rung they are of, so that handing one out twice is handing it out once.</summary>
internal static class TrialJobs
{
    private const string Trial = ":trial-";
    private const string Best = ":best";
    private const string Probe = ":probe";

    public static string IdOf(string sweep, int trial, int rung) => $"{sweep}{Trial}{trial:0000}{(rung == 0 ? "" : $".{rung}")}";

    public static string BestIdOf(string sweep) => sweep + Best;

    public static bool IsBest(JobRecord child) => child.Id.EndsWith(Best, StringComparison.Ordinal);

    /// <summary>The job that measures and proposes settings for an auto sweep.</summary>
    public static string ProbeIdOf(string sweep) => sweep + Probe;

    /// <summary>What was proposed, where it was.</summary>
    /// <param name="children">The sweep's.</param>
    /// <param name="metric">What the sweep itself says that trials are compared by.</param>
    public static AutoProposal? ProposalOf(IEnumerable<JobRecord> children, string? metric)
    {
        if (children.FirstOrDefault(child => child.State == JobState.Succeeded && child.Id.EndsWith(Probe, StringComparison.Ordinal)) is not { } probe)
            return null;
        var proposal = JsonSerializer.Deserialize<AutoProposal>(probe.Output!, QueueMaaSJson.Relaxed)!;
        return metric is null ? proposal : proposal with
        {
            Metric = metric,
            Reasons = [.. proposal.Reasons.Where(static reason => reason.Field != AutoChoice.MetricField), new(AutoChoice.MetricField, JsonSerializer.SerializeToElement(metric), "the sweep says so")],
        };
    }

    public static string ProbeInput(SweepPlan plan, string sweep, string dataset)
    {
        var training = plan.Training();
        training["dataset"] = dataset;
        training.Remove("deploy");
        training.Remove("gate");
        training.Remove("monitor");
        training["trial"] = JsonSerializer.SerializeToNode(new TrialSettings { Sweep = sweep, Number = 0, ProbeMinutes = plan.Input.Search.Minutes }, QueueMaaSJson.Relaxed);
        return training.ToJsonString(QueueMaaSJson.Relaxed);
    }

    /// <summary>The trial and rung of a child; null for those that measure, and register the best model.</summary>
    public static (int Trial, int Rung)? PlaceOf(JobRecord child)
    {
        var at = child.Id.LastIndexOf(Trial, StringComparison.Ordinal);
        if (at < 0)
            return null;
        var parts = child.Id[(at + Trial.Length)..].Split('.');
        return (int.Parse(parts[0], CultureInfo.InvariantCulture), parts.Length > 1 ? int.Parse(parts[1], CultureInfo.InvariantCulture) : 0);
    }

    /// <summary>The input of a trial at a rung.</summary>
    public static string Input(SweepPlan plan, string sweep, string dataset, int trial, int rung) => Write(plan, dataset, keepsAlias: false, new()
    {
        Sweep = sweep,
        Number = trial,
        DataSeed = plan.DataSeed,
        Rung = rung,
        UntilEpoch = plan.IsHalving ? plan.Rungs[rung] : null,
        From = rung > 0 ? IdOf(sweep, trial, rung - 1) : null,
    });

    /// <summary>The input of the job that exports and registers what a trial has trained.</summary>
    public static string RegistrationInput(SweepPlan plan, string sweep, string dataset, int trial, int rung) => Write(plan, dataset, keepsAlias: true, new()
    {
        Sweep = sweep,
        Number = trial,
        DataSeed = plan.DataSeed,
        Rung = rung,
        UntilEpoch = plan.IsHalving ? plan.Rungs[rung] : null,
        From = IdOf(sweep, trial, rung),
        Register = true,
    });

    public static Problem? ErrorOf(JobRecord child) => child.Error is null ? null : JsonSerializer.Deserialize<Problem>(child.Error, QueueMaaSJson.Relaxed);

    public static TrialOutput? OutputOf(JobRecord child) => child is { State: JobState.Succeeded, Output: { } output } ? JsonSerializer.Deserialize<TrialOutput>(output, QueueMaaSJson.Relaxed) : null;

    private static string Write(SweepPlan plan, string dataset, bool keepsAlias, TrialSettings trial)
    {
        var training = plan.Training(trial.Number);
        training["dataset"] = dataset;
        // A version never changes, so all trials have the same recipe whatever program they run on.
        if (training["recipe"]?.GetValue<string>() is { } named && RecipeBook.Default.Require(named) is var recipe)
            training["recipe"] = $"{recipe.Name}@{recipe.Version}";
        if (!keepsAlias)
        {
            training.Remove("deploy");
            training.Remove("gate");
            training.Remove("monitor");
        }

        // Of a trial its last state is enough: that is where it goes on, and what is exported of the best one.
        var checkpoints = training["checkpoints"] as System.Text.Json.Nodes.JsonObject ?? [];
        if (checkpoints.Parent is null)
            training["checkpoints"] = checkpoints;
        checkpoints["keep"] ??= 1;
        training["trial"] = JsonSerializer.SerializeToNode(trial, QueueMaaSJson.Relaxed);
        return training.ToJsonString(QueueMaaSJson.Relaxed);
    }
}
