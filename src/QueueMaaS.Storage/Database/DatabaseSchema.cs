using System.Globalization;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;
using Microsoft.EntityFrameworkCore.Storage;
using Microsoft.Extensions.Options;
using Npgsql;

namespace QueueMaaS.Storage.Database;

/// <summary>The state of the database's schema.</summary>
/// <param name="Applied">Migrations that the database has, oldest first.</param>
/// <param name="Pending">Those that this program knows and the database lacks.</param>
/// <param name="Newer">Those that the database has and this program does not know.</param>
public sealed record SchemaState(IReadOnlyList<string> Applied, IReadOnlyList<string> Pending, IReadOnlyList<string> Newer);

/// <summary>Other sessions held a table that a migration must change, for as long as it tried.</summary>
public sealed class SchemaInUseException(Exception inner)
    : Exception("The tables to change were held by other sessions all the time (a backup, an open transaction: see pg_stat_activity). End them and run `queuemaas migrate` again; what was applied stays.", inner);

/// <summary>Brings the database's schema up to date, one process at a time.</summary>
public sealed class DatabaseSchema(IDbContextFactory<QueueMaaSDbContext> contexts, IOptions<StorageOptions> options)
{
    // Any number does that no other program of the database takes: "QMaaS" in ASCII.
    private const long MigrationLock = 0x514D616153;
    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(50);

    // A change that waits for a table holds up everyone who comes after it, so it waits shortly, and again after a pause in which they go on.
    private static readonly TimeSpan TableWait = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(1);
    private const int MaxTries = 60;

    /// <summary>Which migrations the database has and lacks. A database that does not exist yet lacks all.</summary>
    public async Task<SchemaState> ReadAsync(CancellationToken cancellationToken)
    {
        await using var context = await contexts.CreateDbContextAsync(cancellationToken);
        await using var turn = context.Database.IsNpgsql() ? null : await TakeTurnAsync(cancellationToken);
        var known = context.Database.GetMigrations().ToArray();
        var applied = await ExistsAsync(context, cancellationToken) ? (await context.Database.GetAppliedMigrationsAsync(cancellationToken)).ToArray() : [];
        return new SchemaState(applied, [.. known.Except(applied, StringComparer.Ordinal)], [.. applied.Except(known, StringComparer.Ordinal)]);
    }

    /// <summary>Applies what is pending, and makes the database where there is none. Of several processes that do so at once, one does it and the others wait.</summary>
    /// <exception cref="SchemaInUseException">Other sessions held a table that must be changed all the time.</exception>
    public async Task UpdateAsync(CancellationToken cancellationToken)
    {
        await using var context = await contexts.CreateDbContextAsync(cancellationToken);
        if (!context.Database.IsNpgsql())
        {
            await using var turn = await TakeTurnAsync(cancellationToken);
            await context.Database.MigrateAsync(cancellationToken);
            return;
        }

        if (!await ExistsAsync(context, cancellationToken))
            await CreateAsync(context, cancellationToken);
        // The lock is the session's: it ends with this connection, also where this process does. EF Core's own lies on a table that the first migration makes.
        await using var connection = new NpgsqlConnection(new NpgsqlConnectionStringBuilder(options.Value.PostgreSql) { Pooling = false, CommandTimeout = 0 }.ConnectionString);
        await connection.OpenAsync(cancellationToken);
        await using var wait = new NpgsqlCommand("select pg_advisory_lock($1)", connection) { Parameters = { new NpgsqlParameter { Value = MigrationLock } } };
        await wait.ExecuteNonQueryAsync(cancellationToken);
        await context.Database.OpenConnectionAsync(cancellationToken);
        await context.Database.ExecuteSqlAsync($"select set_config('lock_timeout', {TableWait.TotalMilliseconds.ToString("0", CultureInfo.InvariantCulture)}, false)", cancellationToken);
        for (var tries = 1; ; tries++)
        {
            try
            {
                // What was applied before a refusal stays.
                await context.Database.MigrateAsync(cancellationToken);
                return;
            }
            catch (Exception exception) when (exception.GetBaseException() is PostgresException { SqlState: PostgresErrorCodes.LockNotAvailable })
            {
                if (tries == MaxTries)
                    throw new SchemaInUseException(exception);
                await Task.Delay(Pause, cancellationToken);
            }
        }
    }

    /// <summary>The SQL that brings a database from the migration <paramref name="from"/> (default: an empty one) up to date; it can be run again without harm on PostgreSQL.</summary>
    public async Task<string> ScriptAsync(string? from, CancellationToken cancellationToken)
    {
        await using var context = await contexts.CreateDbContextAsync(cancellationToken);
        // SQLite's dialect has no conditions, so its script cannot be made repeatable.
        var how = context.Database.IsNpgsql() ? MigrationsSqlGenerationOptions.Idempotent : MigrationsSqlGenerationOptions.Default;
        return context.GetService<IMigrator>().GenerateScript(from, toMigration: null, how);
    }

    /// <summary>
    /// Waits until no other process reads or changes the schema of the SQLite file. EF Core's own lock lies within the database, and looking whether there is one, which opens it for reading only,
    /// fails ("attempt to write a readonly database") in the moment in which another process makes it or closes it last.
    /// </summary>
    private async Task<FileStream> TakeTurnAsync(CancellationToken cancellationToken)
    {
        var file = Path.Combine(Directory.CreateDirectory(options.Value.DataFolder).FullName, "schema.lock");
        while (true)
        {
            try
            {
                return new FileStream(file, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            }
            catch (IOException) when (File.Exists(file))
            {
                await Task.Delay(Look, cancellationToken);
            }
        }
    }

    private static Task<bool> ExistsAsync(QueueMaaSDbContext context, CancellationToken cancellationToken) => context.GetService<IRelationalDatabaseCreator>().ExistsAsync(cancellationToken);

    private static async Task CreateAsync(QueueMaaSDbContext context, CancellationToken cancellationToken)
    {
        try
        {
            await context.GetService<IRelationalDatabaseCreator>().CreateAsync(cancellationToken);
        }
        catch (PostgresException exception) when (exception.SqlState is PostgresErrorCodes.DuplicateDatabase or PostgresErrorCodes.UniqueViolation)
        {
            // Another process was faster.
        }
    }
}
