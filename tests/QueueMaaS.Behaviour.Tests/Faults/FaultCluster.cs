using System.Diagnostics;
using System.Net;
using Npgsql;
using QueueMaaS.Behaviour.Tests.Setup;
using QueueMaaS.Testing;
using StackExchange.Redis;

namespace QueueMaaS.Behaviour.Tests.Faults;

/// <summary>Two API processes, two workers and a notifier on real servers, each of which can be killed, stopped for a while and started again.</summary>
public sealed class FaultCluster : IAsyncDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("queuemaas-faults-").FullName;
    private readonly ServerSpace _space;
    private readonly Dictionary<string, string> _settings;
    private readonly Dictionary<string, WorkerProcess> _processes = [];

    private FaultCluster(ServerSpace space, string secret)
    {
        _space = space;
        var broker = new Uri(space.Settings["Bus:RabbitMq"]);
        BrokerLine = new Proxy(broker.Host, broker.Port);
        RabbitMq = new UriBuilder(broker) { Host = "127.0.0.1", Port = BrokerLine.Port }.Uri.ToString();
        var redis = ConfigurationOptions.Parse(space.Settings["Storage:Redis"]);
        var (host, port) = redis.EndPoints[0] switch { DnsEndPoint dns => (dns.Host, dns.Port), var other => (((IPEndPoint)other).Address.ToString(), ((IPEndPoint)other).Port) };
        RedisLine = new Proxy(host, port);
        redis.EndPoints.Clear();
        redis.EndPoints.Add("127.0.0.1", RedisLine.Port);
        _settings = new Dictionary<string, string>(space.Settings) { ["Webhooks:Secret"] = secret, ["Bus:RabbitMq"] = RabbitMq, ["Storage:Redis"] = redis.ToString(includePassword: true) };
        for (var i = 0; i < 20; i++)
            _settings[$"Webhooks:RetrySchedule:{i}"] = "00:00:01";
        // Without a pool: the faults kill connections, and ours must not be among them later.
        Database = NpgsqlDataSource.Create(new NpgsqlConnectionStringBuilder(space.Settings["Storage:PostgreSql"]) { Pooling = false });
    }

    public static IReadOnlyList<string> Workers { get; } = ["worker-1", "worker-2"];

    public static IReadOnlyList<string> Apis { get; } = ["api-1", "api-2"];

    public const string Notifier = "notifier";

    public TestServers Servers => _space.Servers;

    /// <summary>Between the broker and all others.</summary>
    internal Proxy BrokerLine { get; }

    /// <summary>Between Redis and the service.</summary>
    internal Proxy RedisLine { get; }

    /// <summary>The broker, through the line that can be cut.</summary>
    public string RabbitMq { get; }

    public string Redis => _space.Settings["Storage:Redis"];

    public NpgsqlDataSource Database { get; }

    public static async Task<FaultCluster> StartAsync(string webhookSecret)
    {
        var cluster = new FaultCluster(await ServerSpace.CreateAsync(), webhookSecret);
        foreach (var name in Apis)
        {
            cluster.Launch(name);
            // The first brings the database up to date.
            await cluster.WaitUntilReadyAsync(name);
        }

        foreach (var name in (string[])[.. Workers, Notifier])
            cluster.Launch(name);
        return cluster;
    }

    public string Url(string api) => _processes[api].Url;

    public void Kill(string name) => _processes[name].KillHard();

    /// <summary>Starts a process, in the place of one of that name that was killed.</summary>
    public void Launch(string name)
    {
        var roles = name.Split('-')[0] switch { "worker" => "inference", "api" => "api", _ => "notify" };
        _processes[name] = new WorkerProcess(roles, _folder, _settings, _processes.GetValueOrDefault(name)?.Url);
    }

    public Task SignalAsync(string name, string signal) => SignalAsync(_processes[name].Id, signal);

    public static async Task SignalAsync(int process, string signal)
    {
        using var kill = Process.Start("kill", ["-s", signal, $"{process}"]);
        await kill.WaitForExitAsync();
    }

    /// <summary>The broker's own process, by the port in its node's name in its environment.</summary>
    public int FindBroker() => Directory.EnumerateDirectories("/proc").Select(Path.GetFileName).Where(name => int.TryParse(name, out _)).Select(name => int.Parse(name!))
        .First(process => Read(process, "comm").StartsWith("beam.smp", StringComparison.Ordinal) && Read(process, "environ").Contains($"queuemaas{new Uri(Servers.RabbitMq).Port}@", StringComparison.Ordinal));

    public async Task WaitUntilReadyAsync(string name)
    {
        using var http = new HttpClient { BaseAddress = new Uri(_processes[name].Url) };
        await _processes[name].WaitUntilReadyAsync(http);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var process in _processes.Values)
            process.KillHard();
        await BrokerLine.DisposeAsync();
        await RedisLine.DisposeAsync();
        await Database.DisposeAsync();
        await _space.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }

    private static string Read(int process, string what)
    {
        try
        {
            return File.ReadAllText($"/proc/{process}/{what}");
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return "";
        }
    }
}
