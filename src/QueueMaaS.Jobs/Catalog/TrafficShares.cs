using QueueMaaS.Contracts;

namespace QueueMaaS.Jobs.Catalog;

/// <summary>What holds of a model's aliases however one of them comes to point elsewhere: by request, with a registration, by a gate or by a rollout. A version that takes a part of the traffic must understand the requests that are meant for the production version.</summary>
public static class TrafficShares
{
    /// <summary>The alias that takes what the others leave.</summary>
    public const string Production = "production";

    /// <param name="moved">The alias that moves, as it would stand.</param>
    /// <param name="aliases">The model's aliases, as all of them would stand.</param>
    /// <param name="find">Finds a version of the model by its number.</param>
    /// <exception cref="ProblemException"><c>invalid_value</c>: the alias cannot have its share; <c>canary_conflict</c>: production moves to where an alias with a share could not follow.</exception>
    public static async Task CheckAsync(ModelAlias moved, IReadOnlyList<ModelAlias> aliases, Func<int, Task<ModelVersion?>> find)
    {
        ArgumentNullException.ThrowIfNull(moved);
        ArgumentNullException.ThrowIfNull(aliases);
        ArgumentNullException.ThrowIfNull(find);
        if (moved.Share is { } share)
            await CheckShareAsync(moved, share, aliases, find);
        else if (moved.Alias == Production)
            await CheckSharersAsync(moved, aliases, find);
    }

    /// <summary>Whether requests to one version can be computed by the other.</summary>
    public static bool TakesTheSame(ModelVersion one, ModelVersion other)
    {
        ArgumentNullException.ThrowIfNull(one);
        ArgumentNullException.ThrowIfNull(other);
        return (one.Pipeline?.Image is null) == (other.Pipeline?.Image is null)
            && (one.Pipeline?.Table is null) == (other.Pipeline?.Table is null)
            && (one.Pipeline?.Text is null) == (other.Pipeline?.Text is null)
            && Inputs(one).SequenceEqual(Inputs(other), StringComparer.Ordinal);
    }

    private static async Task CheckShareAsync(ModelAlias moved, double share, IReadOnlyList<ModelAlias> aliases, Func<int, Task<ModelVersion?>> find)
    {
        if (share is not (> 0 and <= 1) || moved.Alias == Production)
            throw new ProblemException(ProblemCodes.InvalidValue, "`share` must be over 0 and at most 1, and is for aliases beside `production`, which takes the rest.", ("path", "share"));
        var others = aliases.Where(other => other.Alias != moved.Alias).Sum(static other => other.Share ?? 0);
        if (others + share > 1)
            throw new ProblemException(ProblemCodes.InvalidValue, $"`share` is {share}, but other aliases of `{moved.Name}` have {others} of the traffic already; together they may have 1.", ("path", "share"), ("others", others));
        var version = await find(moved.Version) ?? throw CatalogLookup.NotFound(new VersionReference(moved.Name, moved.Version, Alias: null));
        var production = aliases.FirstOrDefault(static alias => alias.Alias == Production) is { } at ? await find(at.Version) : null;
        if (production is null)
            throw CatalogLookup.NotFound(new VersionReference(moved.Name, Version: null, Production));
        if (!TakesTheSame(production, version))
        {
            throw new ProblemException(
                ProblemCodes.InvalidValue,
                $"`{moved.Name}@{moved.Version}` takes other inputs than the production version {production.Version}, so requests meant for that would fail. Give it no share, or make a model of another name of it.", ("path", "share"));
        }
    }

    /// <summary>The other way round: those that take a part of the traffic must understand what will be meant for the new production version.</summary>
    private static async Task CheckSharersAsync(ModelAlias production, IReadOnlyList<ModelAlias> aliases, Func<int, Task<ModelVersion?>> find)
    {
        var sharers = aliases.Where(static other => other.Share > 0 && other.Alias != Production).ToArray();
        if (sharers.Length == 0 || await find(production.Version) is not { } next)
            return;
        foreach (var other in sharers)
        {
            if (await find(other.Version) is { } version && !TakesTheSame(next, version))
            {
                throw new ProblemException(
                    ProblemCodes.CanaryConflict,
                    $"`{other.Alias}` has {other.Share} of the traffic of `{other.Name}` for version {other.Version}, which takes other inputs than version {production.Version}, so a part of the requests would fail. Point `{other.Alias}` at a version without a share, or take it away, before `production` moves there.",
                    ("path", "version"), ("alias", other.Alias));
            }
        }
    }

    private static IEnumerable<string> Inputs(ModelVersion version) =>
        version.Signature.Inputs.Select(static input => $"{input.Name} {input.Datatype} {string.Join(',', input.Shape)}").Order(StringComparer.Ordinal);
}
