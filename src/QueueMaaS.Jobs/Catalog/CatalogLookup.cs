using QueueMaaS.Contracts;

namespace QueueMaaS.Jobs.Catalog;

/// <summary>Finds what a job refers to, or says what is wrong with the reference.</summary>
public static class CatalogLookup
{
    /// <summary>The version as it stands in the catalogue, aliases included.</summary>
    /// <exception cref="ProblemException"><c>invalid_value</c> or <c>model_not_found</c>.</exception>
    public static async Task<ModelVersion> RequireAsync(this IModelCatalog models, string tenant, string text, CancellationToken cancellationToken)
    {
        var reference = Parse(text);
        return await models.FindAsync(tenant, reference, cancellationToken) ?? throw NotFound(reference);
    }

    /// <summary>The version to compute with; see <see cref="IModelCatalog.ResolveAsync"/>.</summary>
    /// <exception cref="ProblemException"><c>invalid_value</c> or <c>model_not_found</c>.</exception>
    public static async ValueTask<ModelVersion> RequireServedAsync(this IModelCatalog models, string tenant, string text, CancellationToken cancellationToken)
    {
        var reference = Parse(text);
        return await models.ResolveAsync(tenant, reference, cancellationToken) ?? throw NotFound(reference);
    }

    /// <summary>That a model has a version at all.</summary>
    /// <exception cref="ProblemException"><c>model_not_found</c>.</exception>
    public static async Task RequireModelAsync(this IModelCatalog models, string tenant, string name, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(models);
        if ((await models.VersionsAsync(tenant, name, beforeVersion: null, 1, cancellationToken)).Count == 0)
            throw new ProblemException(ProblemCodes.ModelNotFound, $"There is no model `{name}`. GET /v1/models lists what there is.", ("model", name));
    }

    /// <summary>Says that there is no such model, version or alias.</summary>
    public static ProblemException NotFound(VersionReference reference) => new(
        ProblemCodes.ModelNotFound,
        reference is { Version: null, Alias: null }
            ? $"There is no model `{reference}` with a `production` alias. GET /v1/models lists what there is."
            : $"There is no model `{reference}`. GET /v1/models/{reference.Name}/versions lists its versions and aliases.",
        ("model", reference.ToString()));

    /// <exception cref="ProblemException"><c>invalid_value</c> or <c>dataset_not_found</c>.</exception>
    public static async Task<Dataset> RequireAsync(this IDatasetCatalog datasets, string tenant, string text, CancellationToken cancellationToken)
    {
        if (!VersionReference.TryParse(text, out var reference) || reference.Alias is not null)
            throw new ProblemException(ProblemCodes.InvalidValue, $"`{text}` is not a data set reference. Write `name` (its latest version) or `name@3`.", ("path", "input.dataset"));
        return await datasets.FindAsync(tenant, reference, cancellationToken)
            ?? throw new ProblemException(ProblemCodes.DatasetNotFound, $"There is no data set `{reference}`. GET /v1/datasets lists what there is; PUT /v1/datasets/{reference.Name} uploads one.", ("dataset", text));
    }

    private static VersionReference Parse(string text) => VersionReference.TryParse(text, out var reference)
        ? reference
        : throw new ProblemException(ProblemCodes.InvalidValue, $"`{text}` is not a model reference. Write `name`, `name@3` (a version) or `name@canary` (an alias).", ("path", "input.model"));
}
