using Microsoft.EntityFrameworkCore;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Life;

namespace QueueMaaS.Storage.Database;

/// <summary>
/// Publishes event rows by their number, remembering only up to where all are published: a row costs no second write. On PostgreSQL rows can become visible out
/// of order, as transactions commit; numbers that are missing are looked for again until no transaction can bring them any more, and the remembered position stays before them.
/// </summary>
internal sealed class EventOutbox(DatabaseSession database, TimeProvider time) : IEventOutbox
{
    private static readonly TimeSpan ShortestLife = TimeSpan.FromSeconds(5);
    private readonly Dictionary<long, Gap> _gaps = [];
    private long _remembered = -1;
    private long _read;

    public async Task<int?> RelayAsync(int limit, Func<IReadOnlyList<JobEvent>, CancellationToken, Task> publish, CancellationToken cancellationToken)
    {
        int? relayed = null;
        await database.WriteAsync(async context =>
        {
            if (await TakeTurnAsync(context, cancellationToken) is not { } position)
                return 0;
            if (position != _remembered)
            {
                // Another process relayed meanwhile, or this is the first time.
                _gaps.Clear();
                (_remembered, _read) = (position, position);
            }

            var rows = await ReadAsync(context, limit, cancellationToken);
            var announced = rows.Where(row => !row.Silent).Select(row => row.ToEvent()).ToArray();
            if (announced.Length > 0)
                await publish(announced, cancellationToken);
            await AdvanceAsync(context, rows, cancellationToken);
            relayed = rows.Count;
            return 0;
        }, cancellationToken);
        return relayed;
    }

    /// <summary>Locks the position for this transaction; null while another process has it.</summary>
    private static async Task<long?> TakeTurnAsync(QueueMaaSDbContext context, CancellationToken cancellationToken)
    {
        if (!context.Database.IsNpgsql())
            return await context.Relay.AsNoTracking().Select(row => (long?)row.Position).SingleOrDefaultAsync(cancellationToken);
        // Losing the last positions to a crash of the database only publishes a few events again, so this commit need not wait for the disk.
        await context.Database.ExecuteSqlAsync($"SET LOCAL synchronous_commit = off", cancellationToken);
        var position = await context.Database.SqlQuery<long>($"""SELECT position AS "Value" FROM event_relay WHERE id = 1 FOR UPDATE SKIP LOCKED""").ToListAsync(cancellationToken);
        return position.Count == 0 ? null : position[0];
    }

    /// <summary>Rows that came where numbers were missing, then those after what was read. Asked for one by one: in one question, PostgreSQL would read the table from its beginning.</summary>
    private async Task<List<JobEventRow>> ReadAsync(QueueMaaSDbContext context, int limit, CancellationToken cancellationToken)
    {
        var rows = new List<JobEventRow>();
        if (_gaps.Count > 0)
        {
            var missing = _gaps.Keys.ToArray();
            rows.AddRange(await context.Events.AsNoTracking().Where(row => missing.Contains(row.RowId)).OrderBy(row => row.RowId).ToListAsync(cancellationToken));
        }

        rows.AddRange(await context.Events.AsNoTracking().Where(row => row.RowId > _read).OrderBy(row => row.RowId).Take(limit).ToListAsync(cancellationToken));
        return rows;
    }

    private async Task AdvanceAsync(QueueMaaSDbContext context, List<JobEventRow> rows, CancellationToken cancellationToken)
    {
        if (context.Database.IsNpgsql())
            await FindGapsAsync(context, rows, cancellationToken);
        _read = rows.Count == 0 ? _read : Math.Max(_read, rows[^1].RowId);
        var position = _gaps.Count == 0 ? _read : _gaps.Keys.Min() - 1;
        if (position != _remembered)
            await context.Relay.Where(row => row.Id == 1).ExecuteUpdateAsync(set => set.SetProperty(row => row.Position, position), cancellationToken);
        _remembered = position;
    }

    private async Task FindGapsAsync(QueueMaaSDbContext context, List<JobEventRow> rows, CancellationToken cancellationToken)
    {
        foreach (var row in rows)
            _gaps.Remove(row.RowId);
        var expected = _read + 1;
        var missing = new List<long>();
        foreach (var row in rows.Where(row => row.RowId > _read))
        {
            for (; expected < row.RowId; expected++)
                missing.Add(expected);
            expected = row.RowId + 1;
        }

        if (missing.Count == 0 && _gaps.Count == 0)
            return;
        // A transaction that may still bring a missing row is older than the newest that has begun by now; it is over once the oldest that runs is younger.
        var running = await context.Database.SqlQuery<RunningTransactions>($"""SELECT pg_snapshot_xmin(s)::text::bigint AS oldest, pg_snapshot_xmax(s)::text::bigint AS next FROM pg_current_snapshot() s""").SingleAsync(cancellationToken);
        foreach (var (number, gap) in _gaps.ToArray())
        {
            if (running.Oldest >= gap.Next && time.GetElapsedTime(gap.SeenAt) > ShortestLife)
                _gaps.Remove(number);
        }

        foreach (var number in missing)
            _gaps[number] = new Gap(running.Next, time.GetTimestamp());
    }

    private sealed record Gap(long Next, long SeenAt);

    private sealed record RunningTransactions(long Oldest, long Next);
}
