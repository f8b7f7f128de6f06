using Npgsql;
using QueueMaaS.Jobs.Leasing;

namespace QueueMaaS.Storage.Presence;

/// <summary>
/// Presence by PostgreSQL's advisory locks, each held by a connection of its own: the server drops the lock when the connection's process dies.
/// Behind a pooler that shares connections between transactions the lock may outlive the worker; then leases expire by time, as without it.
/// </summary>
internal sealed class PostgreSqlPresence(NpgsqlDataSource source, TimeProvider time) : IWorkerPresence, IAsyncDisposable
{
    /// <summary>The first of the two numbers of these locks; the second is the hash of the worker's name.</summary>
    private const int LockSpace = 0x514D61;

    /// <summary>A server that was restarted dropped all locks: workers have this long to show themselves again. Three of their turns.</summary>
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(3);
    private static readonly TimeSpan LookEvery = TimeSpan.FromSeconds(1);
    private readonly Sightings _sightings = new(time, Grace);
    private NpgsqlConnection? _shown;
    private IReadOnlyCollection<string> _gone = [];
    private long? _looked;

    public async Task ShowAsync(string worker, CancellationToken cancellationToken)
    {
        try
        {
            _shown ??= await source.OpenConnectionAsync(cancellationToken);
            await using var command = new NpgsqlCommand(
                """
                SELECT CASE WHEN EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND classid = $1::oid AND objsubid = 2)
                    THEN true ELSE pg_try_advisory_lock($1, hashtext($2)) END
                """,
                _shown)
            { Parameters = { new() { Value = LockSpace }, new() { Value = worker } } };
            await command.ExecuteScalarAsync(cancellationToken);
        }
        catch
        {
            await DropAsync();
            throw;
        }
    }

    public async Task<IReadOnlyCollection<string>> GoneAsync(CancellationToken cancellationToken)
    {
        if (_looked is { } looked && time.GetElapsedTime(looked) < LookEvery)
            return _gone;
        _looked = time.GetTimestamp();
        try
        {
            return _gone = await LookAsync(cancellationToken);
        }
        catch
        {
            _sightings.LookFailed();
            _gone = [];
            throw;
        }
    }

    public async ValueTask DisposeAsync() => await DropAsync();

    private async Task<IReadOnlyCollection<string>> LookAsync(CancellationToken cancellationToken)
    {
        await using var connection = await source.OpenConnectionAsync(cancellationToken);
        await using var batch = new NpgsqlBatch(connection)
        {
            BatchCommands =
            {
                new("SELECT objid::bigint FROM pg_locks WHERE locktype = 'advisory' AND granted AND classid = $1::oid AND objsubid = 2 AND database = (SELECT oid FROM pg_database WHERE datname = current_database())")
                {
                    Parameters = { new() { Value = LockSpace } },
                },
                // As the locks show it: the hash as a number without a sign.
                new("SELECT lease_owner, hashtext(lease_owner)::bigint & 4294967295 FROM (SELECT DISTINCT lease_owner FROM jobs WHERE state = 'Running' AND lease_owner IS NOT NULL) owners"),
            },
        };
        await using var rows = await batch.ExecuteReaderAsync(cancellationToken);
        var present = new HashSet<long>();
        while (await rows.ReadAsync(cancellationToken))
            present.Add(rows.GetInt64(0));
        _sightings.Look(present);
        await rows.NextResultAsync(cancellationToken);
        var gone = new List<string>();
        while (await rows.ReadAsync(cancellationToken))
        {
            if (_sightings.IsGone(rows.GetInt64(1)))
                gone.Add(rows.GetString(0));
        }

        return gone;
    }

    /// <summary>Ends the session, which drops its lock: back in the pool it would be reset only when it is used next.</summary>
    private async Task DropAsync()
    {
        if (_shown is not { } shown)
            return;
        _shown = null;
        try
        {
            if (shown.State == System.Data.ConnectionState.Open)
            {
                await using var unlock = new NpgsqlCommand("SELECT pg_advisory_unlock_all()", shown);
                await unlock.ExecuteNonQueryAsync(CancellationToken.None);
            }
        }
        catch (NpgsqlException)
        {
            // The connection is broken, and the lock gone with it.
        }

        await shown.DisposeAsync();
    }
}
