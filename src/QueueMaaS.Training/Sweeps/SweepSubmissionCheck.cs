using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.Extensions.Options;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Submission;
using QueueMaaS.Training.Jobs;
using QueueMaaS.Training.Recipes;
using QueueMaaS.Training.Running;

namespace QueueMaaS.Training.Sweeps;

/// <summary>Refuses sweeps that cannot succeed: every trial's training is held to what a training job is held to, before anything is accepted. Loads no libtorch.</summary>
internal sealed class SweepSubmissionCheck(TrainingSubmissionCheck trainings, IOptions<SweepOptions> options) : ISubmissionCheck
{
    public JobKind Kind => JobKind.Sweep;

    public async Task<CheckedInput> CheckAsync(string tenant, JsonElement input, CancellationToken cancellationToken)
    {
        var plan = SweepPlan.OfNew(input, options.Value.MaxTrials);
        if (plan.IsAuto)
        {
            var (settings, dataset) = await trainings.CheckAsync(tenant, Read(plan.Training()), cancellationToken, chosenLater: true);
            SweepMetric.Require(plan.Input.Metric, TaskOf(settings, dataset));
            return new(plan.Model);
        }

        RequireTypes(plan);
        ValidationItems? first = null;
        for (var trial = 1; trial <= plan.Points.Count; trial++)
        {
            var items = ValidationItems.Of(await CheckTrialAsync(tenant, plan, trial, cancellationToken));
            RequireSameItems(plan, trial, items, first ??= items);
        }

        return new(plan.Model);
    }

    private async Task<TrainingSettings> CheckTrialAsync(string tenant, SweepPlan plan, int trial, CancellationToken cancellationToken)
    {
        try
        {
            var (settings, dataset) = await trainings.CheckAsync(tenant, Read(plan.Training(trial)), cancellationToken);
            if (trial == 1)
                SweepMetric.Require(plan.Input.Metric, TaskOf(settings, dataset));
            return settings;
        }
        catch (ProblemException exception) when (exception.Problem.Code is not (ProblemCodes.MetricUnknown or ProblemCodes.DatasetNotFound or ProblemCodes.ModelNotFound))
        {
            var cause = exception.Problem;
            throw new ProblemException(
                Problem.Create(
                    cause.Code, $"Trial {trial} of the sweep ({Describe(plan.Points[trial - 1])}) is no valid training: {cause.Message}",
                    ("trial", trial), ("parameters", plan.Points[trial - 1]), ("field", Blamed(plan, cause)), ("cause", cause)),
                exception);
        }
    }

    /// <exception cref="ProblemException"><c>search_invalid</c>: the trial would be validated on other items than the first.</exception>
    internal static void RequireSameItems(SweepPlan plan, int trial, ValidationItems items, ValidationItems first)
    {
        if (items.PartsFrom(first) is not { } decides)
            return;
        // Of what is varied, the field that leads to it; a recipe may lead to anything.
        var (own, its) = (plan.Points[0], plan.Points[trial - 1]);
        var varied = its.Keys.Where(field => own[field].GetRawText() != its[field].GetRawText()).ToArray();
        var field = Array.Find(varied, f => FieldPath.Parse(decides).Overlaps(FieldPath.Parse(f))) ?? Array.Find(varied, static f => FieldPath.Parse(f).Root == "recipe") ?? varied[0];
        throw new ProblemException(
            ProblemCodes.SearchInvalid,
            $"`search.space` varies `{field}`, and with it `{decides}`, which decides {(decides is "task" or "data.target" or "data.targets" ? "what is learned" : "which items trials are validated on")}: trial {trial} ({Describe(its)}) would be ranked against trial 1 ({Describe(own)}) by a figure measured on something else. Give `{decides}` in `training`, submit one sweep for each value, and compare the models that come of them by evaluation jobs on the same data.",
            ("field", field), ("decides", decides), ("trial", trial), ("path", "input.search.space"));
    }

    /// <summary>As far as it can be told before the data is read.</summary>
    private static TrainingTask? TaskOf(TrainingSettings settings, Dataset dataset) =>
        settings.Task ?? (dataset.Card.Classes.Count > 0 && settings.Data is { Target: null, Targets: null } ? TrainingTask.Classification : null);

    /// <summary>Every field by itself: is it there, and does it take such values? What holds only together with other fields is found by the trials.</summary>
    private static void RequireTypes(SweepPlan plan)
    {
        foreach (var field in plan.Points[0].Keys)
        {
            foreach (var value in plan.Points.Select(point => point[field]).DistinctBy(v => v.GetRawText()))
            {
                try
                {
                    _ = Read(plan.With(field, value));
                }
                catch (ProblemException exception) when (exception.Problem.Code is ProblemCodes.UnknownField or ProblemCodes.InvalidValue or ProblemCodes.InvalidRequest)
                {
                    var unknown = exception.Problem.Code == ProblemCodes.UnknownField;
                    throw new ProblemException(
                        Problem.Create(
                            exception.Problem.Code,
                            unknown
                                ? $"`search.space` has the field `{field}`, but a training has no such field: {exception.Problem.Message}"
                                : $"`search.space` gives the field `{field}` the value {value.GetRawText()}, which is of the wrong type or outside its choices: {exception.Problem.Message}",
                            ("field", field), ("value", value), ("cause", exception.Problem)),
                        exception);
                }
            }
        }
    }

    private static TrainingInput Read(JsonObject training) => TrainingDocument.Read(JsonSerializer.SerializeToElement(training));

    /// <summary>The varied field that a problem speaks of, where it names one.</summary>
    private static string? Blamed(SweepPlan plan, Problem cause) => (cause.Details?.GetValueOrDefault("field") ?? cause.Details?.GetValueOrDefault("path")) is { ValueKind: JsonValueKind.String } named
        ? plan.Points[0].Keys.FirstOrDefault(field => named.GetString() == field || named.GetString()!.EndsWith($".{field}", StringComparison.Ordinal))
        : null;

    private static string Describe(IReadOnlyDictionary<string, JsonElement> point) => string.Join(", ", point.Select(p => $"{p.Key} {Short(p.Value.GetRawText())}"));

    private static string Short(string text) => text.Length <= 60 ? text : $"{text[..57]}…";
}
