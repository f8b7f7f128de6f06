using System.Collections.Concurrent;
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

        return _redis.GetSubscriber().PublishAsync(Channel, SignalText.Write(changes), CommandFlags.FireAndForget);
    }

    public IDisposable Subscribe(Action<JobChange> onChange)
    {
        var key = new object();
        _subscribers[key] = onChange;
        return new Subscription(() => _subscribers.TryRemove(key, out _));
    }

    private void OnMessage(RedisChannel channel, RedisValue message) =>
        Tell(SignalText.Read((string)message!));

    private void Tell(IReadOnlyList<JobChange> changes)
    {
        foreach (var change in changes)
        {
            foreach (var subscriber in _subscribers.Values)
                subscriber(change);
        }
    }
}

/// <summary>Ended jobs that are small, for fast polling. A failed job can be put back in the queue, so it is not kept.</summary>
public sealed partial class RedisJobCache(IConnectionMultiplexer redis, ILogger<RedisJobCache> logger) : IJobCache
{
    private const int MaxChars = 8 * 1024;
    private static readonly TimeSpan Keep = TimeSpan.FromHours(1);

    public async ValueTask<ReadOnlyMemory<byte>?> FindAsync(string tenant, string id, CancellationToken cancellationToken)
    {
        if (!redis.IsConnected)
            return null;
        try
        {
            var cached = await redis.GetDatabase().StringGetAsync(Key(tenant, id));
            return cached.IsNull ? null : (ReadOnlyMemory<byte>?)(byte[])cached!;
        }
        catch (Exception exception) when (exception is RedisException or TimeoutException)
        {
            LogUnavailable(logger, exception.Message);
            return null;
        }
    }

    public Task PutAsync(IReadOnlyList<JobRecord> jobs, CancellationToken cancellationToken)
    {
        if (!redis.IsConnected)
            return Task.CompletedTask;
        var database = redis.GetDatabase();
        foreach (var job in jobs)
        {
            if (job.State is JobState.Succeeded or JobState.Cancelled or JobState.Expired && job.Kind is JobKind.Inference && job.Input.Length + (job.Output?.Length ?? 0) <= MaxChars)
                database.StringSet(Key(job.Tenant, job.Id), JobJson.Write(job), Keep, flags: CommandFlags.FireAndForget);
        }

        return Task.CompletedTask;
    }

    public Task RemoveAsync(string tenant, IReadOnlyList<string> ids, CancellationToken cancellationToken) =>
        redis.IsConnected ? redis.GetDatabase().KeyDeleteAsync([.. ids.Select(id => Key(tenant, id))], CommandFlags.FireAndForget) : Task.CompletedTask;

    private static RedisKey Key(string tenant, string id) => $"queuemaas:job:{tenant}:{id}";

    [LoggerMessage(Level = LogLevel.Debug, Message = "Redis did not answer ({Reason}); the database is asked instead")]
    private static partial void LogUnavailable(ILogger logger, string reason);
}
