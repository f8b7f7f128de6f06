using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Storage;
using Npgsql;
using QueueMaaS.Contracts;

namespace QueueMaaS.Storage.Database;

/// <summary>Reads and writes with the right retries: a write is one transaction, run again as a whole when the database asks for it.</summary>
public sealed class DatabaseSession(IDbContextFactory<QueueMaaSDbContext> contexts) : IDisposable
{
    private const int MaxConflicts = 20;

    // SQLITE_CONSTRAINT
    private const int SqliteConstraint = 19;

    // SQLite has one writer; waiting here costs microseconds, waiting in SQLite's busy handler costs 150 ms a time.
    private readonly SemaphoreSlim _sqliteWriter = new(1);

    public async Task<T> ReadAsync<T>(Func<QueueMaaSDbContext, Task<T>> read, CancellationToken cancellationToken)
    {
        await using var context = await contexts.CreateDbContextAsync(cancellationToken);
        context.ChangeTracker.QueryTrackingBehavior = QueryTrackingBehavior.NoTracking;
        try
        {
            return await read(context);
        }
        catch (Exception exception) when (IsUnstorableText(exception))
        {
            throw UnstorableText(exception);
        }
    }

    public async Task<T> WriteAsync<T>(Func<QueueMaaSDbContext, Task<T>> write, CancellationToken cancellationToken)
    {
        for (var conflicts = 0; ; conflicts++)
        {
            await using var context = await contexts.CreateDbContextAsync(cancellationToken);
            var sqlite = context.Database.ProviderName!.EndsWith("Sqlite", StringComparison.Ordinal);
            if (sqlite)
                await _sqliteWriter.WaitAsync(cancellationToken);
            try
            {
                return await context.Database.CreateExecutionStrategy().ExecuteAsync(async token =>
                {
                    context.ChangeTracker.Clear();
                    await using IDbContextTransaction transaction = await context.Database.BeginTransactionAsync(token);
                    var result = await write(context);
                    await context.SaveChangesAsync(token);
                    await transaction.CommitAsync(token);
                    return result;
                }, cancellationToken);
            }
            catch (DbUpdateException exception) when (conflicts < MaxConflicts && IsConflict(exception))
            {
                // Another process changed one of these rows, or inserted the same one, between our read and our write: read again and decide anew.
            }
            catch (Exception exception) when (IsUnstorableText(exception))
            {
                throw UnstorableText(exception);
            }
            finally
            {
                if (sqlite)
                    _sqliteWriter.Release();
            }
        }
    }

    public void Dispose() => _sqliteWriter.Dispose();

    /// <summary>PostgreSQL's texts hold no NUL. That is the caller's mistake, which no second try repairs, and not the database's being away.</summary>
    private static bool IsUnstorableText(Exception exception) => exception.GetBaseException() is PostgresException { SqlState: PostgresErrorCodes.CharacterNotInRepertoire or PostgresErrorCodes.UntranslatableCharacter };

    private static ProblemException UnstorableText(Exception exception) =>
        new(new Problem(ProblemCodes.InvalidValue, "A text holds a character that cannot be stored: NUL (U+0000), or half of a pair. Leave it out."), exception);

    private static bool IsConflict(DbUpdateException exception) => exception is DbUpdateConcurrencyException
        || exception.InnerException is PostgresException { SqlState: PostgresErrorCodes.UniqueViolation } or SqliteException { SqliteErrorCode: SqliteConstraint };
}
