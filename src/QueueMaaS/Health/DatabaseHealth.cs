using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Options;
using QueueMaaS.Jobs.Settings;
using QueueMaaS.Storage;
using QueueMaaS.Storage.Database;

namespace QueueMaaS.Health;

/// <summary>Whether the database answers, and its version.</summary>
internal sealed class DatabaseHealth(IDbContextFactory<QueueMaaSDbContext> contexts, IOptions<StorageOptions> options, ServerTrust trust) : IHealthCheck
{
    private const string Away = ": no job can be accepted, started or ended until it does. Jobs already accepted are safe.";

    public async Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        try
        {
            await using var database = await contexts.CreateDbContextAsync(cancellationToken);
            // Not through the strategy that tries again for seconds: whoever asks wants to know how it is now.
            await using var command = database.Database.GetDbConnection().CreateCommand();
            var isPostgreSql = database.Database.IsNpgsql();
            command.CommandText = isPostgreSql ? "show server_version" : "select sqlite_version()";
            await command.Connection!.OpenAsync(cancellationToken);
            var version = (string)(await command.ExecuteScalarAsync(cancellationToken))!;
            return HealthCheckResult.Healthy(data: new Dictionary<string, object> { ["server"] = isPostgreSql ? "PostgreSQL" : "SQLite", ["version"] = version });
        }
        catch (Exception exception) when (exception is System.Data.Common.DbException or TimeoutException or InvalidOperationException)
        {
            var certificate = options.Value.PostgreSql is { } postgreSql ? await PostgreSqlCertificate.ExplainAsync(postgreSql, exception, trust, cancellationToken) : null;
            return HealthCheckResult.Unhealthy((certificate?.TrimEnd('.') ?? "The database does not answer") + Away, exception);
        }
    }
}
