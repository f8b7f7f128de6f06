using Microsoft.AspNetCore.Http;
using QueueMaaS.Api.Hosting;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Catalog;
using QueueMaaS.Jobs.Submission;

namespace QueueMaaS.Api.Models;

/// <summary>Deployment: where the aliases of a model point, and what part of its traffic they take.</summary>
internal static class AliasRoutes
{
    private const int MaxBodyBytes = 1 << 16;

    public static async Task<ModelAlias> SetAsync(Caller caller, string name, string alias, HttpRequest request, IModelCatalog models, CancellationToken cancellationToken)
    {
        CatalogRoutes.RequireAlias(alias);
        var target = SubmissionReader.ReadBody<AliasTarget>(await Requests.ReadBodyAsync(request, MaxBodyBytes, cancellationToken));
        var pointed = new ModelAlias(name, alias, target.Version) { Share = target.Share };
        return await models.SetAliasAsync(caller.Tenant, pointed, cancellationToken) ? pointed : throw NoVersion(name, target.Version);
    }

    public static async Task<IReadOnlyList<ModelAlias>> ListAsync(Caller caller, string name, IModelCatalog models, CancellationToken cancellationToken) =>
        await models.AliasesAsync(caller.Tenant, name, cancellationToken) is { Count: > 0 } aliases
            ? aliases
            : throw new ProblemException(ProblemCodes.ModelNotFound, $"There is no model `{name}`. GET /v1/models lists what there is.", ("model", name));

    public static async Task<IResult> RemoveAsync(Caller caller, string name, string alias, IModelCatalog models, CancellationToken cancellationToken)
    {
        if (alias == TrafficShares.Production)
            throw new ProblemException(ProblemCodes.InvalidValue, "`production` cannot be taken away, or requests to the model would have no version. Point it at another one.", ("path", "alias"));
        return await models.RemoveAliasAsync(caller.Tenant, name, alias, cancellationToken)
            ? Results.NoContent()
            : throw new ProblemException(ProblemCodes.ModelNotFound, $"Model `{name}` has no alias `{alias}`. GET /v1/models/{name}/aliases lists what there is.", ("model", name), ("alias", alias));
    }

    private static ProblemException NoVersion(string name, int version) => new(
        ProblemCodes.ModelNotFound, $"There is no model `{name}@{version}`. GET /v1/models/{name}/versions lists what there is.", ("model", $"{name}@{version}"));
}

/// <summary>The version that an alias is to point at.</summary>
public sealed record AliasTarget
{
    /// <summary>The version.</summary>
    public required int Version { get; init; }

    /// <summary>As <see cref="ModelAlias.Share"/>. Default: none.</summary>
    public double? Share { get; init; }
}
