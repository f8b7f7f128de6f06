using System.Collections.Concurrent;
using System.Text.Json;
using Microsoft.Extensions.Logging;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Life;
using QueueMaaS.Jobs.Notification;
using StackExchange.Redis;

namespace QueueMaaS.Storage.Signals;

/// <summary>Wake-ups between processes over Redis publish/subscribe. While Redis is away, this process's own changes still wake its own waiters.</summary>
public sealed class RedisSignals : IJobSignals
{
    private static readonly RedisChannel Channel = RedisChannel.Literal("queuemaas:changes");
    private readonly IConnectionMultiplexer _redis;
    private readonly ConcurrentDictionary<object, Action<JobChange>> _subscribers = new();

    public RedisSignals(IConnectionMultiplexer redis)
    {
        _redis = redis;
        // The multiplexer subscribes again by itself after a reconnect.
        redis.GetSubscriber().Subscribe(Channel, OnMessage, CommandFlags.FireAndForget);
    }

    public Task PublishAsync(IReadOnlyList<JobChange> changes, CancellationToken cancellationToken)
    {
        if (!_redis.IsConnected)
        {
            Tell(changes);
            return Task.CompletedTask;
        }

        return _redis.GetSubscriber().PublishAsync(Channel, JsonSerializer.Serialize(changes, QueueMaaSJson.Relaxed), CommandFlags.FireAndForget);
    }

    public IDisposable Subscribe(Action<JobChange> onChange)
    {
        var key = new object();
        _subscribers[key] = onChange;
        return new Subscription(() => _subscribers.TryRemove(key, out _));
    }

    private void OnMessage(RedisChannel channel, RedisValue message) =>
        Tell(JsonSerializer.Deserialize<JobChange[]>((string)message!, QueueMaaSJson.Relaxed)!);

    private void Tell(IReadOnlyList<JobChange> changes)
    {
        foreach (var change in changes)
        {
            foreach (var subscriber in _subscribers.Values)
                subscriber(change);
        }
    }
}

/// <summary>Final jobs with small results, for fast polling. A job leaves the cache when it is put back in the queue.</summary>
public sealed partial class RedisJobCache(IConnectionMultiplexer redis, ILogger<RedisJobCache> logger) : IJobCache
{
    private const int MaxOutputChars = 64 * 1024;
    private static readonly TimeSpan Keep = TimeSpan.FromHours(1);

    public async Task<JobRecord?> FindAsync(string tenant, string id, CancellationToken cancellationToken)
    {
        if (!redis.IsConnected)
            return null;
        try
        {
            var cached = await redis.GetDatabase().StringGetAsync(Key(tenant, id));
            return cached.IsNull ? null : JsonSerializer.Deserialize<JobRecord>((string)cached!, QueueMaaSJson.Relaxed);
        }
        catch (Exception exception) when (exception is RedisException or TimeoutException or JsonException)
        {
            LogUnavailable(logger, exception.Message);
            return null;
        }
    }

    public Task PutAsync(IReadOnlyList<JobRecord> jobs, CancellationToken cancellationToken)
    {
        if (!redis.IsConnected)
            return Task.CompletedTask;
        var batch = redis.GetDatabase();
        foreach (var job in jobs)
        {
            // A failed job can be requeued, so only what can never change again is kept.
            if (job.State is JobState.Succeeded or JobState.Cancelled or JobState.Expired && (job.Output?.Length ?? 0) <= MaxOutputChars)
                batch.StringSet(Key(job.Tenant, job.Id), JsonSerializer.Serialize(job, QueueMaaSJson.Relaxed), Keep, flags: CommandFlags.FireAndForget);
        }

        return Task.CompletedTask;
    }

    private static RedisKey Key(string tenant, string id) => $"queuemaas:job:{tenant}:{id}";

    [LoggerMessage(Level = LogLevel.Debug, Message = "Redis did not answer ({Reason}); the database is asked instead")]
    private static partial void LogUnavailable(ILogger logger, string reason);
}
