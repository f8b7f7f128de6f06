using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using Npgsql;
using QueueMaaS.Behaviour.Tests.Setup;
using QueueMaaS.Testing;
using StackExchange.Redis;

namespace QueueMaaS.Behaviour.Tests.Faults;

/// <summary>Two API processes, one of which computes as well, two workers and a notifier on real servers, each of which can be killed, stopped for a while and started again.</summary>
public sealed class FaultCluster : IAsyncDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("queuemaas-faults-").FullName;
    private readonly ServerSpace _space;
    private readonly Dictionary<string, string> _settings;
    private readonly ConcurrentDictionary<string, WorkerProcess> _processes = new(StringComparer.Ordinal);

    private FaultCluster(ServerSpace space, string secret, RabbitMqCluster? brokers)
    {
        _space = space;
        var broker = new Uri(space.Settings["Bus:RabbitMq"]);
        BrokerLine = new Proxy(broker.Host, broker.Port);
        Brokers = brokers?.Addresses ?? [new UriBuilder(broker) { Host = "127.0.0.1", Port = BrokerLine.Port }.Uri.ToString()];
        var redis = ConfigurationOptions.Parse(space.Settings["Storage:Redis"]);
        var (host, port) = redis.EndPoints[0] switch { DnsEndPoint dns => (dns.Host, dns.Port), var other => (((IPEndPoint)other).Address.ToString(), ((IPEndPoint)other).Port) };
        RedisLine = new Proxy(host, port);
        redis.EndPoints.Clear();
        redis.EndPoints.Add("127.0.0.1", RedisLine.Port);
        _settings = new Dictionary<string, string>(space.Settings) { ["Webhooks:Secret"] = secret, ["Bus:RabbitMq"] = Brokers[0], ["Storage:Redis"] = redis.ToString(includePassword: true) };
        for (var i = 0; brokers is not null && i < Brokers.Count; i++)
            _settings[$"Bus:Nodes:{i}"] = new Uri(Brokers[i]).Authority.Split('@')[^1];
        for (var i = 0; i < 20; i++)
            _settings[$"Webhooks:RetrySchedule:{i}"] = "00:00:01";
        // Without a pool: the faults kill connections, and ours must not be among them later.
        Database = NpgsqlDataSource.Create(new NpgsqlConnectionStringBuilder(space.Settings["Storage:PostgreSql"]) { Pooling = false });
    }

    public static IReadOnlyList<string> Workers { get; } = ["worker-1", "worker-2"];

    public static IReadOnlyList<string> Apis { get; } = ["api-1", "api-2"];

    /// <summary>Those that run jobs: the workers what comes by the queue, the API process also what starts where it is accepted.</summary>
    public static IReadOnlyList<string> Computing { get; } = [.. Workers, "api-2"];

    public const string Notifier = "notifier";

    public TestServers Servers => _space.Servers;

    /// <summary>Between the broker and all others.</summary>
    internal Proxy BrokerLine { get; }

    /// <summary>Between Redis and the service.</summary>
    internal Proxy RedisLine { get; }

    /// <summary>The broker, through the line that can be cut; or the nodes of a cluster.</summary>
    public IReadOnlyList<string> Brokers { get; }

    public string Redis => _space.Settings["Storage:Redis"];

    public NpgsqlDataSource Database { get; }

    /// <param name="webhookSecret">What webhooks are signed with.</param>
    /// <param name="brokers">The nodes in the place of the one broker that all tests share.</param>
    /// <param name="program">Another version of the program.</param>
    public static async Task<FaultCluster> StartAsync(string webhookSecret, RabbitMqCluster? brokers = null, string? program = null)
    {
        var cluster = new FaultCluster(await ServerSpace.CreateAsync(), webhookSecret, brokers);
        foreach (var name in Apis)
        {
            cluster.Launch(name, program);
            // The first brings the database up to date.
            await cluster.WaitUntilReadyAsync(name);
        }

        foreach (var name in (string[])[.. Workers, Notifier])
            cluster.Launch(name, program);
        return cluster;
    }

    public string Url(string api) => _processes[api].Url;

    /// <summary>The addresses of the API processes that have not been asked to stop.</summary>
    public IReadOnlyList<string> ApiUrls => [.. _processes.Where(process => process.Key.StartsWith("api", StringComparison.Ordinal)).OrderBy(process => process.Key, StringComparer.Ordinal).Select(process => process.Value.Url)];

    public void Kill(string name) => _processes[name].KillHard();

    /// <summary>Asks a process to stop and waits until it has. Its place stays: one of its name takes it.</summary>
    public Task EndAsync(string name) => _processes[name].EndAsync();

    /// <summary>Asks a process to stop for good and waits until it has.</summary>
    public async Task LeaveAsync(string name)
    {
        if (_processes.TryRemove(name, out var process))
            await process.EndAsync();
    }

    /// <summary>Waits until a process has ended by itself.</summary>
    public Task<int> ExitCodeAsync(string name) => _processes[name].ExitCodeAsync();

    /// <summary>Starts a process, in the place of one of that name that was killed or has ended.</summary>
    public void Launch(string name, string? program = null, System.Text.StringBuilder? output = null)
    {
        var roles = name switch { "api-2" => "api,inference", _ when name.StartsWith("worker", StringComparison.Ordinal) => "inference", _ when name.StartsWith("trainer", StringComparison.Ordinal) => "training", _ when name.StartsWith("api", StringComparison.Ordinal) => "api", _ => "notify" };
        _processes[name] = new WorkerProcess(roles, _folder, _settings, _processes.GetValueOrDefault(name)?.Url, output, program);
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
