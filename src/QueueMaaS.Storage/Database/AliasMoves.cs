using Microsoft.EntityFrameworkCore;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Catalog;

namespace QueueMaaS.Storage.Database;

/// <summary>Points aliases elsewhere, within the transaction of whoever does: every way there is goes through here, so that none comes round <see cref="TrafficShares"/>.</summary>
internal static class AliasMoves
{
    /// <returns>False where it points there already, with this share.</returns>
    /// <exception cref="ProblemException">As <see cref="TrafficShares.CheckAsync"/>.</exception>
    public static async Task<bool> PointAsync(QueueMaaSDbContext context, string tenant, ModelAlias alias, CancellationToken cancellationToken)
    {
        var row = (await StandingAsync(context, tenant, alias.Name, cancellationToken)).FirstOrDefault(standing => standing.Alias == alias.Alias);
        if (row is null)
            context.Aliases.Add(new ModelAliasRow { Tenant = tenant, Name = alias.Name, Alias = alias.Alias, Version = alias.Version, Share = alias.Share });
        else if ((row.Version, row.Share) == (alias.Version, alias.Share))
            return false;
        else
            (row.Version, row.Share) = (alias.Version, alias.Share);
        return true;
    }

    /// <summary>Holds what was pointed elsewhere against the aliases as all of them stand then.</summary>
    /// <exception cref="ProblemException">As <see cref="TrafficShares.CheckAsync"/>.</exception>
    public static async Task CheckAsync(QueueMaaSDbContext context, string tenant, ModelAlias moved, CancellationToken cancellationToken)
    {
        var standing = (await StandingAsync(context, tenant, moved.Name, cancellationToken)).Select(static row => new ModelAlias(row.Name, row.Alias, row.Version) { Share = row.Share }).ToArray();
        await TrafficShares.CheckAsync(moved, standing, async version =>
            (context.Models.Local.FirstOrDefault(row => row.Tenant == tenant && row.Name == moved.Name && row.Version == version)
                ?? await context.Models.AsNoTracking().SingleOrDefaultAsync(row => row.Tenant == tenant && row.Name == moved.Name && row.Version == version, cancellationToken))?.ToVersion([]));
    }

    /// <summary>The model's aliases with what this transaction has changed of them.</summary>
    private static async Task<IReadOnlyList<ModelAliasRow>> StandingAsync(QueueMaaSDbContext context, string tenant, string name, CancellationToken cancellationToken)
    {
        // Whoever waited here sees what the one before has moved.
        await RowLocks.TakeAliasesAsync(context, tenant, name, cancellationToken);
        await context.Aliases.Where(alias => alias.Tenant == tenant && alias.Name == name).LoadAsync(cancellationToken);
        return [.. context.Aliases.Local.Where(alias => alias.Tenant == tenant && alias.Name == name)];
    }
}
