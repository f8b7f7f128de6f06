using System.Text.Json;
using QueueMaaS.Contracts;
using QueueMaaS.Inference.Evaluation;
using QueueMaaS.Jobs.Catalog;
using QueueMaaS.Jobs.Deployment;
using QueueMaaS.Jobs.Submission;

namespace QueueMaaS.Inference.Drift;

/// <summary>Refuses baselines that cannot be made.</summary>
public sealed class BaselineSubmissionCheck(IModelCatalog models, IDatasetCatalog datasets) : ISubmissionCheck
{
    /// <inheritdoc/>
    public JobKind Kind => JobKind.Baseline;

    /// <inheritdoc/>
    public async Task<CheckedInput> CheckAsync(string tenant, JsonElement input, CancellationToken cancellationToken)
    {
        var baseline = SubmissionReader.ReadInput<BaselineInput>(input);
        DriftSettingsCheck.Check(baseline.Settings, "settings");
        if (baseline.MaxRows is < 100 or > 1_000_000)
            throw new ProblemException(ProblemCodes.InvalidValue, "`maxRows` must be from 100 to 1,000,000.", ("path", "input.maxRows"));
        if (baseline.Split is not null && !Identifiers.IsSplit(baseline.Split))
            throw new ProblemException(ProblemCodes.InvalidValue, "`split` must be `train`, `test`, `val` or `all`.", ("path", "input.split"));
        var version = await models.RequireAsync(tenant, baseline.Model, cancellationToken);
        var dataset = await datasets.RequireAsync(tenant, DatasetOf(baseline, version), cancellationToken);
        EvaluationSubmissionCheck.CheckData(ToEvaluation(baseline, version, dataset), dataset);
        return new(baseline.Model);
    }

    /// <exception cref="ProblemException"><c>dataset_not_found</c>: none is named, and the version's card names none either.</exception>
    internal static string DatasetOf(BaselineInput input, ModelVersion version) => input.Dataset
        ?? (version.Card?.Dataset is { } trained && VersionReference.TryParse(trained, out var reference) && reference.Alias is null ? trained : null)
        ?? throw new ProblemException(ProblemCodes.DatasetNotFound, $"`{version.Name}@{version.Version}` does not say which data set it was trained on. Name the one that its traffic is to be like in `dataset`.", ("path", "input.dataset"));

    internal static EvaluationInput ToEvaluation(BaselineInput input, ModelVersion version, Dataset dataset) => new()
    {
        Model = $"{version.Name}@{version.Version}",
        Dataset = $"{dataset.Name}@{dataset.Version}",
        Split = input.Split ?? (dataset.Card.Splits.GetValueOrDefault("train") > 0 ? "train" : "all"),
        Target = input.Target,
        Slices = [],
    };
}
