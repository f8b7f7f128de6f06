using Microsoft.EntityFrameworkCore;

namespace QueueMaaS.Storage.Database;

/// <summary>
/// Locks the rows of several jobs in one order. Statements over several rows lock them in whatever order their plan reads them, so two of them that overlap
/// could wait for each other in a circle; with every such transaction taking its locks here first, none can.
/// </summary>
internal static class RowLocks
{
    /// <summary>Locks the rows with these <paramref name="ids"/> to the end of the transaction and gives the ids of those locked. SQLite has one writer and needs no row locks.</summary>
    /// <param name="context">Within a transaction.</param>
    /// <param name="ids">Ids of jobs; those that do not exist are passed over.</param>
    /// <param name="waits">True to wait for rows that another transaction holds, false to pass them over, for changes that are worth nothing to a row that someone is changing.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    public static async Task<IReadOnlyList<string>> TakeAsync(QueueMaaSDbContext context, IReadOnlyList<string> ids, bool waits, CancellationToken cancellationToken)
    {
        if (!context.Database.IsNpgsql() || ids.Count == 0)
            return ids;
        var asked = ids.ToArray();
        // The order has to be the same whatever the database's collation is.
        var locked = waits
            ? context.Database.SqlQuery<string>($"""SELECT id AS "Value" FROM jobs WHERE id = ANY({asked}) ORDER BY id COLLATE "C" FOR UPDATE""")
            : context.Database.SqlQuery<string>($"""SELECT id AS "Value" FROM jobs WHERE id = ANY({asked}) ORDER BY id COLLATE "C" FOR UPDATE SKIP LOCKED""");
        return await locked.ToListAsync(cancellationToken);
    }

    /// <summary>Locks deliveries that nobody else has locked, or put off beyond <paramref name="dueBy"/> since they were read, and gives their ids.</summary>
    public static async Task<IReadOnlySet<string>> TakeDeliveriesAsync(QueueMaaSDbContext context, string[] ids, DateTimeOffset dueBy, CancellationToken cancellationToken) =>
        context.Database.IsNpgsql() && ids.Length > 0
            ? (await context.Database.SqlQuery<string>($"""SELECT id AS "Value" FROM webhook_deliveries WHERE id = ANY({ids}) AND next_try_at <= {dueBy} FOR UPDATE SKIP LOCKED""").ToListAsync(cancellationToken)).ToHashSet(StringComparer.Ordinal)
            : ids.ToHashSet(StringComparer.Ordinal);

    /// <summary>Locks a group, so that of several who add to it each sees what the others did.</summary>
    public static async Task TakeGroupAsync(QueueMaaSDbContext context, string tenant, string id, CancellationToken cancellationToken)
    {
        if (context.Database.IsNpgsql())
            _ = await context.Database.SqlQuery<string>($"""SELECT id AS "Value" FROM job_groups WHERE tenant = {tenant} AND id = {id} FOR UPDATE""").ToListAsync(cancellationToken);
    }

    /// <summary>Locks the aliases of a model, so that of several who move them each sees what the others did.</summary>
    public static async Task TakeAliasesAsync(QueueMaaSDbContext context, string tenant, string name, CancellationToken cancellationToken)
    {
        if (context.Database.IsNpgsql())
            _ = await context.Database.SqlQuery<string>($"""SELECT alias AS "Value" FROM model_aliases WHERE tenant = {tenant} AND name = {name} ORDER BY alias COLLATE "C" FOR UPDATE""").ToListAsync(cancellationToken);
    }

    /// <summary>Locks endpoints in one order, so that of several notifiers each counts what the others took.</summary>
    public static async Task TakeEndpointsAsync(QueueMaaSDbContext context, string[] ids, CancellationToken cancellationToken)
    {
        if (context.Database.IsNpgsql() && ids.Length > 0)
            _ = await context.Database.SqlQuery<string>($"""SELECT id AS "Value" FROM webhook_endpoints WHERE id = ANY({ids}) ORDER BY id COLLATE "C" FOR UPDATE""").ToListAsync(cancellationToken);
    }
}
