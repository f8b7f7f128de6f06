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
    public async Task<string?> CheckAsync(string tenant, JsonElement input, CancellationToken cancellationToken)
    {
        var evaluation = SubmissionReader.ReadInput<EvaluationInput>(input);
        if (evaluation.Bootstrap is < 100 or > 10_000)
            throw Invalid("bootstrap", "a whole number from 100 to 10,000");
        if (evaluation.Split is not null && !Identifiers.IsSplit(evaluation.Split))
            throw Invalid("split", "`train`, `test`, `val` or `all`");
        if (evaluation.Slices is { Count: > MostSlices })
            throw Invalid("slices", $"at most {MostSlices} names");
        var dataset = await datasets.RequireAsync(tenant, evaluation.Dataset, cancellationToken);
        CheckData(evaluation, dataset);
        var version = await models.RequireAsync(tenant, evaluation.Model, cancellationToken);
        var head = CheckModel(evaluation, version, dataset);
        if (evaluation.CompareWith is not { } name)
            return evaluation.Model;
        var other = await models.RequireAsync(tenant, name, cancellationToken);
        RequireSame(version, head, other, CheckModel(evaluation, other, dataset));
        return evaluation.Model;
    }

    /// <summary>Two models can be compared where they answer the same question.</summary>
    /// <exception cref="ProblemException"><c>evaluation_unsupported</c>.</exception>
    internal static void RequireSame(ModelVersion model, EvaluatedHead head, ModelVersion other, EvaluatedHead otherHead)
    {
        if (head.Task != otherHead.Task)
            throw new ProblemException(ProblemCodes.EvaluationUnsupported, $"One of `{model.Name}@{model.Version}` and `{other.Name}@{other.Version}` gives labels and the other a number, so they cannot be compared.", ("path", "input.compareWith"));
    }

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

        if (input.Target is { } target && (card.Columns is null || !known.Contains(target, StringComparer.Ordinal)))
            throw new ProblemException(ProblemCodes.ColumnNotFound, $"`target` names the column `{target}`, which data set `{dataset.Name}@{dataset.Version}` does not have.", ("path", "input.target"), ("column", target));
    }

    private static EvaluatedHead CheckModel(EvaluationInput input, ModelVersion version, Dataset dataset)
    {
        var name = $"{version.Name}@{version.Version}";
        var head = EvaluatedHead.Of(name, version.Signature, version.Pipeline);
        var card = dataset.Card;
        if (card.Width > 0 && version.Pipeline?.Image is null)
            throw new ProblemException(ProblemCodes.ImageInputUnsupported, $"Model `{name}` has no image pipeline, so it cannot be evaluated on images.", ("model", name));
        if (card.Width > 0 && head.Task == EvaluationTask.Regression)
            throw new ProblemException(ProblemCodes.EvaluationUnsupported, $"Model `{name}` gives a number, and data set `{dataset.Name}@{dataset.Version}` has classes of images: there is no number to hold it against.", ("model", name));
        if (card.Width == 0 && version.Pipeline?.Image is not null && card.Columns is not null)
            throw new ProblemException(ProblemCodes.RowInputUnsupported, $"Model `{name}` takes images, and data set `{dataset.Name}@{dataset.Version}` is a table.", ("model", name));
        if (card.Columns is { } columns)
            _ = TableEvaluationSource.TargetOf([.. columns.Select(static c => c.Name)], input.Target, version);
        return head;
    }

    private static ProblemException Invalid(string field, string range) => new(ProblemCodes.InvalidValue, $"`{field}` must be {range}.", ("path", $"input.{field}"));
}
