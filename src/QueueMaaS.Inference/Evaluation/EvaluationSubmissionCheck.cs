using System.Text.Json;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Catalog;
using QueueMaaS.Jobs.Submission;

namespace QueueMaaS.Inference.Evaluation;

/// <summary>Refuses evaluations that cannot succeed, as far as the catalogue tells.</summary>
public sealed class EvaluationSubmissionCheck(IModelCatalog models, IDatasetCatalog datasets) : ISubmissionCheck
{
    private const int MostSlices = 20;

    /// <inheritdoc/>
    public JobKind Kind => JobKind.Evaluation;

    /// <inheritdoc/>
    public async Task<CheckedInput> CheckAsync(string tenant, JsonElement input, CancellationToken cancellationToken)
    {
        var evaluation = SubmissionReader.ReadInput<EvaluationInput>(input);
        if (evaluation.Bootstrap is < 100 or > 10_000)
            throw Invalid("bootstrap", "a whole number from 100 to 10,000");
        if (evaluation.Split is not null && !Identifiers.IsSplit(evaluation.Split))
            throw Invalid("split", "`train`, `test`, `val` or `all`");
        if (evaluation.Slices is { Count: > MostSlices })
            throw Invalid("slices", $"at most {MostSlices} names");
        if (evaluation.Threshold is not (null or (>= 0 and <= 1)))
            throw Invalid("threshold", "a probability from 0 to 1");
        if (evaluation.Thresholds?.FirstOrDefault(static t => t.Value is not (>= 0 and <= 1)) is { Key: { } label })
            throw Invalid($"thresholds.{label}", "a probability from 0 to 1");
        if (evaluation.Target is not null && evaluation.Targets is not null)
            throw new ProblemException(ProblemCodes.InvalidValue, "`target` and `targets` are both given. Name one column with bars between the labels, or a column for each label.", ("path", "input.targets"));
        if (evaluation.Labels is { } labels && (labels.Count == 0 || labels.Any(string.IsNullOrWhiteSpace) || labels.Distinct(StringComparer.Ordinal).Count() < labels.Count))
            throw Invalid("labels", "names that are not empty and all different");
        var dataset = await datasets.RequireAsync(tenant, evaluation.Dataset, cancellationToken);
        CheckData(evaluation, dataset);
        var version = await models.RequireAsync(tenant, evaluation.Model, cancellationToken);
        var head = CheckModel(evaluation, version, dataset);
        var other = evaluation.CompareWith is { } name ? await models.RequireAsync(tenant, name, cancellationToken) : null;
        if (other is not null)
            RequireSame(version, head, other, CheckModel(evaluation, other, dataset));
        CheckUnused(evaluation, version, head, other);
        return new(evaluation.Model);
    }

    /// <summary>Two models can be compared where they answer the same question.</summary>
    /// <exception cref="ProblemException"><c>evaluation_unsupported</c>.</exception>
    internal static void RequireSame(ModelVersion model, EvaluatedHead head, ModelVersion other, EvaluatedHead otherHead)
    {
        if (head.Task != otherHead.Task)
        {
            throw new ProblemException(
                ProblemCodes.EvaluationUnsupported,
                $"`{model.Name}@{model.Version}` gives {Given(head)} and `{other.Name}@{other.Version}` {Given(otherHead)}, so they cannot be compared.", ("path", "input.compareWith"));
        }

        // Means over different labels say nothing of each other.
        if (head.Task == EvaluationTask.MultiLabel && head.Names.Except(otherHead.Names, StringComparer.Ordinal).Concat(otherHead.Names.Except(head.Names, StringComparer.Ordinal)).FirstOrDefault() is { } single)
        {
            throw new ProblemException(
                ProblemCodes.EvaluationUnsupported,
                $"Only one of `{model.Name}@{model.Version}` and `{other.Name}@{other.Version}` has the label '{EvaluatedHead.Short(single)}'; models with several labels at once can be compared where they have the same ones.", ("path", "input.compareWith"), ("label", single));
        }
    }

    /// <summary>Refuses what would be left without effect.</summary>
    private static void CheckUnused(EvaluationInput input, ModelVersion version, EvaluatedHead head, ModelVersion? other)
    {
        var given = input switch
        {
            { Threshold: not null } => "threshold",
            { Thresholds: not null } => "thresholds",
            { Targets: not null } => "targets",
            _ => null,
        };
        if (input.Columns is not null && !IsPlain(version) && (other is null || !IsPlain(other)))
            throw new ProblemException(ProblemCodes.InvalidValue, $"`columns` is for models without a pipeline; leave it out: `{version.Name}@{version.Version}` reads its columns by its pipeline.", ("path", "input.columns"));
        if (given is not null && head.Task != EvaluationTask.MultiLabel)
            throw new ProblemException(ProblemCodes.InvalidValue, $"`{given}` is for models that give several labels at once, and `{version.Name}@{version.Version}` gives {Given(head)}. If each of its numbers is the probability of a label by itself, set `task` to `multiLabel`.", ("path", $"input.{given}"));
        if (input.Labels is not null && (head.Task == EvaluationTask.Regression || (version.Pipeline?.Labels is not null && (other is null || other.Pipeline?.Labels is not null))))
            throw new ProblemException(ProblemCodes.InvalidValue, $"`labels` names the labels of a model whose pipeline has none; leave it out: `{version.Name}@{version.Version}` {(head.Task == EvaluationTask.Regression ? "gives a number" : "has labels of its own")}.", ("path", "input.labels"));
    }

    private static string Given(EvaluatedHead head) => head.Task switch
    {
        EvaluationTask.MultiLabel => "several labels at once",
        EvaluationTask.Regression => "a number",
        _ => "one label out of several",
    };

    /// <summary>That the data set has the split and the columns.</summary>
    internal static void CheckData(EvaluationInput input, Dataset dataset)
    {
        var card = dataset.Card;
        var split = EvaluationSources.SplitOf(input, card);
        if (split != "all" && card.Splits.GetValueOrDefault(split) == 0)
        {
            throw new ProblemException(
                ProblemCodes.DatasetEmpty,
                $"The split `{split}` of data set `{dataset.Name}@{dataset.Version}` has no items; it has {string.Join(", ", card.Splits.Select(static s => $"`{s.Key}` ({s.Value:N0})"))}, and `all` takes everything.", ("path", "input.split"), ("split", split));
        }

        string[] known = card.Width > 0 ? [ImageEvaluationSource.Brightness, ImageEvaluationSource.Size] : [.. card.Columns?.Select(static c => c.Name) ?? []];
        if (input.Slices?.FirstOrDefault(name => !known.Contains(name, StringComparer.Ordinal)) is { } unknown)
        {
            throw new ProblemException(
                ProblemCodes.ColumnNotFound,
                known.Length == 0
                    ? $"`slices` names `{unknown}`, but arrays have no columns to divide by. Leave `slices` out."
                    : $"`slices` names `{unknown}`, which data set `{dataset.Name}@{dataset.Version}` does not have; it can be divided by {string.Join(", ", known.Take(30).Select(static name => $"`{name}`"))}{(known.Length > 30 ? ", …" : "")}.",
                ("path", "input.slices"), ("column", unknown));
        }

        if (input.Targets?.FirstOrDefault(name => card.Columns is null || !known.Contains(name, StringComparer.Ordinal)) is { } lacking)
            throw new ProblemException(ProblemCodes.ColumnNotFound, $"`targets` names the column `{lacking}`, which data set `{dataset.Name}@{dataset.Version}` does not have.", ("path", "input.targets"), ("column", lacking));
        if (input.Columns?.FirstOrDefault(name => card.Columns is null || !known.Contains(name, StringComparer.Ordinal)) is { } absent)
            throw new ProblemException(ProblemCodes.ColumnNotFound, $"`columns` names the column `{absent}`, which data set `{dataset.Name}@{dataset.Version}` does not have{(card.Columns is null ? ": it is no table" : $"; its columns are {string.Join(", ", known.Take(30).Select(static name => $"`{name}`"))}{(known.Length > 30 ? ", …" : "")}")}.", ("path", "input.columns"), ("column", absent));
        if (input.Target is { } target && (card.Columns is null || !known.Contains(target, StringComparer.Ordinal)))
            throw new ProblemException(ProblemCodes.ColumnNotFound, $"`target` names the column `{target}`, which data set `{dataset.Name}@{dataset.Version}` does not have.", ("path", "input.target"), ("column", target));
    }

    private static EvaluatedHead CheckModel(EvaluationInput input, ModelVersion version, Dataset dataset)
    {
        var name = $"{version.Name}@{version.Version}";
        var head = EvaluatedHead.Of(name, version.Signature, version.Pipeline, input);
        var card = dataset.Card;
        if (card.Width > 0 && version.Pipeline?.Image is null)
            throw new ProblemException(ProblemCodes.ImageInputUnsupported, $"Model `{name}` has no image pipeline, so it cannot be evaluated on images.", ("model", name));
        if (card.Width > 0 && head.Task == EvaluationTask.Regression)
            throw new ProblemException(ProblemCodes.EvaluationUnsupported, $"Model `{name}` gives a number, and data set `{dataset.Name}@{dataset.Version}` has classes of images: there is no number to hold it against.", ("model", name));
        if (card.Width == 0 && version.Pipeline?.Image is not null && card.Columns is not null)
            throw new ProblemException(ProblemCodes.RowInputUnsupported, $"Model `{name}` takes images, and data set `{dataset.Name}@{dataset.Version}` is a table.", ("model", name));
        if (card.Columns is { } columns)
        {
            var truth = TableTruth.ColumnsOf([.. columns.Select(static c => c.Name)], input, version, head);
            CheckColumns(input, version, truth.Names);
        }

        return head;
    }

    /// <summary>That the columns named for a model of plain numbers are as many as it takes, and that it is not told the truth.</summary>
    private static void CheckColumns(EvaluationInput input, ModelVersion version, IReadOnlyList<string> truth)
    {
        if (input.Columns is not { } fed || !IsPlain(version))
            return;
        if (fed.FirstOrDefault(name => truth.Contains(name, StringComparer.Ordinal)) is { } told)
            throw new ProblemException(ProblemCodes.InvalidValue, $"`columns` feeds the model `{told}`, which holds the truth that its answers are held against. Leave it out, or name another column in `target`.", ("path", "input.columns"), ("column", told));
        if (version.Signature.Inputs is [{ Shape: [_, >= 0 and var width] } only] && fed.Count != width)
            throw new ProblemException(ProblemCodes.InvalidValue, $"`columns` names {fed.Count} columns, but the input '{only.Name}' of model `{version.Name}@{version.Version}` takes {width} numbers. Name as many, in its order.", ("path", "input.columns"), ("expected", width), ("given", fed.Count));
    }

    private static bool IsPlain(ModelVersion version) => version.Pipeline is null or { Table: null, Text: null, Image: null };

    private static ProblemException Invalid(string field, string range) => new(ProblemCodes.InvalidValue, $"`{field}` must be {range}.", ("path", $"input.{field}"));
}
