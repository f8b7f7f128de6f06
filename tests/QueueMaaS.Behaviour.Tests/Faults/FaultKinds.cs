using System.Text;
using System.Text.Json;
using Npgsql;
using QueueMaaS.Behaviour.Tests.Setup;
using QueueMaaS.Contracts;
using RabbitMQ.Client;
using StackExchange.Redis;

namespace QueueMaaS.Behaviour.Tests.Faults;

/// <summary>The faults. Each returns when the part that it took away is back.</summary>
internal sealed class FaultKinds(FaultCluster cluster, WebhookReceiver webhooks, Random random)
{
    private static readonly TimeSpan LongerThanLease = TimeSpan.FromSeconds(4);

    /// <summary>By name, with how often each comes compared with the others.</summary>
    public IReadOnlyList<(string Name, int Weight, Func<Task> Do)> All =>
    [
        ("kill -9 of a worker", 12, () => ReplaceAsync(Pick(FaultCluster.Workers))),
        ("kill -9 of an API process", 6, () => ReplaceAsync(Pick(FaultCluster.Apis))),
        ("kill -9 of the notifier", 6, () => ReplaceAsync(FaultCluster.Notifier)),
        ("a worker stopped beyond its lease, then let go on", 5, StaleWorkerAsync),
        ("kill between claim and acknowledge", 6, KillBeforeAcknowledgeAsync),
        ("kill between compute and store", 6, KillBeforeStoreAsync),
        ("kill between store and notify", 6, KillBeforeNotifyAsync),
        ("RabbitMQ restarted", 1, () => cluster.Servers.RestartRabbitMqAsync(CancellationToken.None)),
        ("RabbitMQ's connections cut", 5, () => CutAsync(cluster.BrokerLine)),
        ("RabbitMQ unreachable for two seconds, connections open", 2, () => cluster.BrokerLine.SilenceAsync(TimeSpan.FromSeconds(2))),
        ("RabbitMQ's disk alarm", 1, AlarmAsync),
        ("a work queue deleted", 2, DeleteQueueAsync),
        ("pointers duplicated and reordered", 8, DuplicateAsync),
        ("a poison message", 6, PoisonAsync),
        ("PostgreSQL restarted", 2, () => cluster.Servers.RestartPostgreSqlAsync(CancellationToken.None)),
        ("PostgreSQL connections killed", 8, () => SqlAsync("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")),
        ("a transaction against the order of locks", 5, DeadlockAsync),
        ("Redis flushed", 6, FlushRedisAsync),
        ("Redis's connections cut", 4, () => CutAsync(cluster.RedisLine)),
        ("Redis stopped and started", 3, () => cluster.Servers.RestartRedisAsync(CancellationToken.None)),
        ("a webhook receiver that hangs", 4, HangingReceiverAsync),
    ];

    private string Pick(IReadOnlyList<string> names) => names[random.Next(names.Count)];

    private async Task ReplaceAsync(string name)
    {
        cluster.Kill(name);
        await Task.Delay(random.Next(0, 500));
        cluster.Launch(name);
    }

    private async Task StaleWorkerAsync()
    {
        var name = Pick(FaultCluster.Computing);
        await cluster.SignalAsync(name, "STOP");
        await Task.Delay(LongerThanLease);
        await cluster.SignalAsync(name, "CONT");
    }

    /// <summary>The broker stands still while the worker claims what it has received: its acknowledgements reach nobody.</summary>
    private async Task KillBeforeAcknowledgeAsync()
    {
        var broker = cluster.FindBroker();
        var name = Pick(FaultCluster.Computing);
        await FaultCluster.SignalAsync(broker, "STOP");
        try
        {
            await Task.Delay(random.Next(20, 300));
            cluster.Kill(name);
        }
        finally
        {
            await FaultCluster.SignalAsync(broker, "CONT");
        }

        cluster.Launch(name);
    }

    /// <summary>The rows of running jobs are locked, so that what was computed cannot be stored.</summary>
    private async Task KillBeforeStoreAsync()
    {
        await using (var connection = await cluster.Database.OpenConnectionAsync())
        {
            await using var transaction = await connection.BeginTransactionAsync();
            await using var command = new NpgsqlCommand("SELECT id FROM jobs WHERE state = 'Running' ORDER BY id COLLATE \"C\" FOR UPDATE", connection);
            await command.ExecuteNonQueryAsync();
            await Task.Delay(random.Next(50, 300));
            foreach (var name in FaultCluster.Computing)
                cluster.Kill(name);
        }

        foreach (var name in FaultCluster.Computing)
            cluster.Launch(name);
    }

    /// <summary>The deliveries are locked, so that what was stored cannot be told.</summary>
    private async Task KillBeforeNotifyAsync()
    {
        await using (var connection = await cluster.Database.OpenConnectionAsync())
        {
            await using var transaction = await connection.BeginTransactionAsync();
            await using var command = new NpgsqlCommand("LOCK TABLE webhook_tries IN EXCLUSIVE MODE", connection);
            await command.ExecuteNonQueryAsync();
            await Task.Delay(random.Next(50, 300));
            cluster.Kill(FaultCluster.Notifier);
        }

        cluster.Launch(FaultCluster.Notifier);
    }

    private static Task CutAsync(Proxy line)
    {
        line.Cut();
        return Task.CompletedTask;
    }

    /// <summary>The broker takes nothing more from publishers until it is over.</summary>
    private async Task AlarmAsync()
    {
        await cluster.Servers.RaiseDiskAlarmAsync(CancellationToken.None);
        await Task.Delay(random.Next(500, 2000));
        await cluster.Servers.EndDiskAlarmAsync(CancellationToken.None);
    }

    private Task DeleteQueueAsync() => OnBrokerAsync(channel => channel.QueueDeleteAsync("queuemaas.work.inference.normal"));

    private async Task DuplicateAsync()
    {
        var ids = new List<string>();
        await using (var command = cluster.Database.CreateCommand("SELECT id FROM jobs ORDER BY created_at DESC LIMIT 64"))
        await using (var rows = await command.ExecuteReaderAsync())
        {
            while (await rows.ReadAsync())
                ids.Add(rows.GetString(0));
        }

        var shuffled = ids.OrderBy(_ => random.Next()).ToArray();
        var properties = new BasicProperties { ContentType = "application/json", Headers = new Dictionary<string, object?> { ["MT-MessageType"] = "urn:message:QueueMaaS.Messaging:WorkPack" } };
        await OnBrokerAsync(async channel =>
        {
            for (var twice = 0; twice < 2; twice++)
            {
                foreach (var pack in shuffled.Chunk(16))
                    await channel.BasicPublishAsync("", "queuemaas.work.inference.normal", mandatory: false, properties, JsonSerializer.SerializeToUtf8Bytes(new { kind = "inference", ids = pack }));
            }
        });
    }

    private Task PoisonAsync() => OnBrokerAsync(async channel =>
    {
        foreach (var (exchange, key) in ((string, string)[])[(BusNames.SubmitExchange, ""), ("", "queuemaas.work.inference.normal")])
            await channel.BasicPublishAsync(exchange, key, mandatory: false, new BasicProperties { ContentType = "application/json" }, Encoding.UTF8.GetBytes("{\"poison\":" + new string('[', random.Next(1, 200))));
    });

    /// <summary>Locks rows in the opposite order to the service's: one of the two transactions is ended by the database.</summary>
    private async Task DeadlockAsync()
    {
        try
        {
            await using var connection = await cluster.Database.OpenConnectionAsync();
            await using var transaction = await connection.BeginTransactionAsync();
            foreach (var order in (string[])["DESC", "ASC"])
            {
                await using var command = new NpgsqlCommand($"SELECT id FROM jobs WHERE state IN ('Queued', 'Running') ORDER BY id COLLATE \"C\" {order} LIMIT 8 FOR UPDATE", connection);
                await command.ExecuteNonQueryAsync();
                await Task.Delay(random.Next(50, 200));
            }
        }
        catch (PostgresException exception) when (exception.SqlState == PostgresErrorCodes.DeadlockDetected)
        {
            // It hit us, and not the service.
        }
    }

    private async Task FlushRedisAsync()
    {
        await using var redis = await ConnectionMultiplexer.ConnectAsync(cluster.Redis);
        foreach (var server in redis.GetServers())
            await server.FlushAllDatabasesAsync();
    }

    private async Task HangingReceiverAsync()
    {
        var hang = new TaskCompletionSource();
        webhooks.Answers[FaultLoad.WebhookPath] = async _ =>
        {
            await hang.Task;
            return Microsoft.AspNetCore.Http.Results.StatusCode(500);
        };
        await Task.Delay(1000);
        webhooks.Answers.TryRemove(FaultLoad.WebhookPath, out _);
        hang.SetResult();
    }

    private async Task OnBrokerAsync(Func<IChannel, Task> use)
    {
        await using var connection = await new ConnectionFactory { Uri = new Uri(cluster.Brokers[0]) }.CreateConnectionAsync();
        await using var channel = await connection.CreateChannelAsync();
        await use(channel);
    }

    private async Task SqlAsync(string sql)
    {
        await using var connection = new NpgsqlConnection(new NpgsqlConnectionStringBuilder(cluster.Database.ConnectionString) { Pooling = false, Password = Password() }.ConnectionString);
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync();
    }

    private string Password() => new NpgsqlConnectionStringBuilder(cluster.Servers.PostgreSql).Password!;
}
