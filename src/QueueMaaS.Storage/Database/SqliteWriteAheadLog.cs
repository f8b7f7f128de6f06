using System.Data.Common;
using Microsoft.EntityFrameworkCore.Diagnostics;

namespace QueueMaaS.Storage.Database;

/// <summary>Readers do not wait for the writer (write-ahead log), and a commit survives a killed process.</summary>
internal sealed class SqliteWriteAheadLog : DbConnectionInterceptor
{
    // NORMAL is safe against a killed process in WAL mode; only a power cut may lose the last commits. Set per connection, as SQLite has it.
    private const string Settings = "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;";

    public override void ConnectionOpened(DbConnection connection, ConnectionEndEventData eventData)
    {
        using var command = connection.CreateCommand();
        command.CommandText = Settings;
        command.ExecuteNonQuery();
    }

    public override async Task ConnectionOpenedAsync(DbConnection connection, ConnectionEndEventData eventData, CancellationToken cancellationToken = default)
    {
        await using var command = connection.CreateCommand();
        command.CommandText = Settings;
        await command.ExecuteNonQueryAsync(cancellationToken);
    }
}
