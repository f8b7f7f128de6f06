using Microsoft.Extensions.Diagnostics.HealthChecks;
using QueueMaaS.Jobs.Settings;
using QueueMaaS.Storage;
using StackExchange.Redis;

namespace QueueMaaS.Health;

/// <summary>Whether Redis answers. Without it everything works, more slowly.</summary>
internal sealed class RedisHealth(IConnectionMultiplexer redis, ServerTrust trust) : IHealthCheck
{
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        if (!redis.IsConnected)
            return Task.FromResult(HealthCheckResult.Degraded($"{trust.Refusal(StorageServices.Redis)?.TrimEnd('.') ?? "Redis does not answer"}: waiters are woken within a second instead of at once. The connection is tried again all the time."));
        var version = redis.GetServers().FirstOrDefault(static server => server.IsConnected)?.Version;
        return Task.FromResult(HealthCheckResult.Healthy(data: version is null ? null : new Dictionary<string, object> { ["server"] = "Redis", ["version"] = version.ToString() }));
    }
}
