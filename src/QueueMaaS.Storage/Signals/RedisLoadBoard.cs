using System.Text.Json;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Estimation;
using StackExchange.Redis;

namespace QueueMaaS.Storage.Signals;

/// <summary>Reports of all workers, in one hash for each model version. While Redis is away there are no estimates.</summary>
public sealed class RedisLoadBoard(IConnectionMultiplexer redis, TimeProvider time) : ILoadBoard
{
    public Task PutAsync(string worker, IReadOnlyList<ModelLoad> loads, CancellationToken cancellationToken)
    {
        if (!redis.IsConnected)
            return Task.CompletedTask;
        var database = redis.GetDatabase();
        foreach (var load in loads)
        {
            database.HashSet(Key(load.Artifact), worker, JsonSerializer.Serialize(load, QueueMaaSJson.Relaxed), flags: CommandFlags.FireAndForget);
            database.KeyExpire(Key(load.Artifact), 4 * ILoadBoard.Lifetime, CommandFlags.FireAndForget);
        }

        return Task.CompletedTask;
    }

    public async Task<IReadOnlyList<ModelLoad>> FindAsync(string artifact, CancellationToken cancellationToken)
    {
        if (!redis.IsConnected)
            return [];
        try
        {
            var now = time.GetUtcNow();
            var reports = await redis.GetDatabase().HashGetAllAsync(Key(artifact));
            return [.. reports.Select(entry => JsonSerializer.Deserialize<ModelLoad>((string)entry.Value!, QueueMaaSJson.Relaxed)!).Where(load => now - load.At <= ILoadBoard.Lifetime)];
        }
        catch (Exception exception) when (exception is RedisException or TimeoutException or JsonException)
        {
            return [];
        }
    }

    private static RedisKey Key(string artifact) => $"queuemaas:load:{artifact}";
}
