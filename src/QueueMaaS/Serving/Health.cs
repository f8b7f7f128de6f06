using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using QueueMaaS.Storage.Database;
using StackExchange.Redis;

namespace QueueMaaS.Serving;

/// <summary>Whether the database answers.</summary>
internal sealed class DatabaseHealth(IDbContextFactory<QueueMaaSDbContext> contexts) : IHealthCheck
{
    public async Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        await using var database = await contexts.CreateDbContextAsync(cancellationToken);
        return await database.Database.CanConnectAsync(cancellationToken)
            ? HealthCheckResult.Healthy()
            : HealthCheckResult.Unhealthy("The database does not answer: jobs cannot be accepted.");
    }
}

/// <summary>Whether Redis answers. Without it everything works, more slowly.</summary>
internal sealed class RedisHealth(IServiceProvider services) : IHealthCheck
{
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        var redis = services.GetService<IConnectionMultiplexer>();
        return Task.FromResult(redis switch
        {
            null => HealthCheckResult.Healthy("Not configured."),
            { IsConnected: true } => HealthCheckResult.Healthy(),
            _ => HealthCheckResult.Degraded("Redis does not answer: waiters are woken within a second instead of at once."),
        });
    }
}
