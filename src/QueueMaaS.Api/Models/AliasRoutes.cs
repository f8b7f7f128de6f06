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
    private const string Production = "production";

    public static async Task<ModelAlias> SetAsync(Caller caller, string name, string alias, HttpRequest request, IModelCatalog models, CancellationToken cancellationToken)
    {
        CatalogRoutes.RequireAlias(alias);
        var target = SubmissionReader.ReadBody<AliasTarget>(await Requests.ReadBodyAsync(request, MaxBodyBytes, cancellationToken));
        var pointed = new ModelAlias(name, alias, target.Version) { Share = target.Share };
        if (target.Share is { } share)
            await CheckShareAsync(caller, pointed, share, models, cancellationToken);
        else if (alias == Production)
            await CheckSharersAsync(caller, pointed, models, cancellationToken);
        return await models.SetAliasAsync(caller.Tenant, pointed, cancellationToken) ? pointed : throw NoVersion(name, target.Version);
    }

    public static async Task<IReadOnlyList<ModelAlias>> ListAsync(Caller caller, string name, IModelCatalog models, CancellationToken cancellationToken) =>
        await models.AliasesAsync(caller.Tenant, name, cancellationToken) is { Count: > 0 } aliases
            ? aliases
            : throw new ProblemException(ProblemCodes.ModelNotFound, $"There is no model `{name}`. GET /v1/models lists what there is.", ("model", name));

    public static async Task<IResult> RemoveAsync(Caller caller, string name, string alias, IModelCatalog models, CancellationToken cancellationToken)
    {
        if (alias == Production)
            throw new ProblemException(ProblemCodes.InvalidValue, "`production` cannot be taken away, or requests to the model would have no version. Point it at another one.", ("path", "alias"));
        return await models.RemoveAliasAsync(caller.Tenant, name, alias, cancellationToken)
            ? Results.NoContent()
            : throw new ProblemException(ProblemCodes.ModelNotFound, $"Model `{name}` has no alias `{alias}`. GET /v1/models/{name}/aliases lists what there is.", ("model", name), ("alias", alias));
    }

    /// <summary>A version that takes a part of the traffic must understand the requests that are meant for the production version.</summary>
    public static async Task CheckShareAsync(Caller caller, ModelAlias alias, double share, IModelCatalog models, CancellationToken cancellationToken)
    {
        if (share is not (> 0 and <= 1) || alias.Alias == Production)
            throw new ProblemException(ProblemCodes.InvalidValue, "`share` must be over 0 and at most 1, and is for aliases beside `production`, which takes the rest.", ("path", "share"));
        var others = (await models.AliasesAsync(caller.Tenant, alias.Name, cancellationToken)).Where(other => other.Alias != alias.Alias).Sum(other => other.Share ?? 0);
        if (others + share > 1)
            throw new ProblemException(ProblemCodes.InvalidValue, $"`share` is {share}, but other aliases of `{alias.Name}` have {others} of the traffic already; together they may have 1.", ("path", "share"), ("others", others));
        var version = await models.FindAsync(caller.Tenant, new(alias.Name, alias.Version, Alias: null), cancellationToken) ?? throw NoVersion(alias.Name, alias.Version);
        var production = await models.RequireAsync(caller.Tenant, $"{alias.Name}@{Production}", cancellationToken);
        if (!TakesTheSame(production, version))
        {
            throw new ProblemException(
                ProblemCodes.InvalidValue,
                $"`{alias.Name}@{alias.Version}` takes other inputs than the production version {production.Version}, so requests meant for that would fail. Give it no share, or make a model of another name of it.", ("path", "share"));
        }
    }

    /// <summary>The other way round: those that take a part of the traffic must understand what will be meant for the new production version.</summary>
    private static async Task CheckSharersAsync(Caller caller, ModelAlias production, IModelCatalog models, CancellationToken cancellationToken)
    {
        if (await models.FindAsync(caller.Tenant, new(production.Name, production.Version, Alias: null), cancellationToken) is not { } next)
            return;
        foreach (var other in (await models.AliasesAsync(caller.Tenant, production.Name, cancellationToken)).Where(static other => other.Share > 0 && other.Alias != Production))
        {
            if (await models.FindAsync(caller.Tenant, new(other.Name, other.Version, Alias: null), cancellationToken) is { } version && !TakesTheSame(next, version))
            {
                throw new ProblemException(
                    ProblemCodes.InvalidValue,
                    $"`{other.Alias}` has {other.Share} of the traffic of `{other.Name}` for version {other.Version}, which takes other inputs than version {production.Version}, so a part of the requests would fail. Point `{other.Alias}` at a version without a share, or take it away, first.",
                    ("path", "version"), ("alias", other.Alias));
            }
        }
    }

    /// <summary>Whether requests to one version can be computed by the other.</summary>
    public static bool TakesTheSame(ModelVersion one, ModelVersion other) =>
        (one.Pipeline?.Image is null) == (other.Pipeline?.Image is null)
        && (one.Pipeline?.Table is null) == (other.Pipeline?.Table is null)
        && (one.Pipeline?.Text is null) == (other.Pipeline?.Text is null)
        && Inputs(one).SequenceEqual(Inputs(other), StringComparer.Ordinal);

    private static IEnumerable<string> Inputs(ModelVersion version) =>
        version.Signature.Inputs.Select(static input => $"{input.Name} {input.Datatype} {string.Join(',', input.Shape)}").Order(StringComparer.Ordinal);

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
