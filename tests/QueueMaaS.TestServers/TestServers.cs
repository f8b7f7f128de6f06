namespace QueueMaaS.Testing;

/// <summary>
/// A real RabbitMQ, PostgreSQL and Redis for tests. Tried in this order: servers named by
/// QUEUEMAAS_TEST_RABBITMQ, QUEUEMAAS_TEST_POSTGRES and QUEUEMAAS_TEST_REDIS; containers; the machine's own
/// binaries; on Debian and Ubuntu, as root, binaries installed first. When nothing works it throws: a test of real
/// servers is never skipped silently. QUEUEMAAS_TEST_SERVERS=containers|local allows one way only.
/// </summary>
/// <remarks>
/// A server is shared by all tests of a run, so a test that stops one must not run beside others (put it in a
/// collection of its own that disables parallelisation) and must start it again.
/// </remarks>
public sealed class TestServers : IAsyncDisposable
{
    private readonly IServerSet _servers;

    private TestServers(IServerSet servers) => _servers = servers;

    /// <summary>An Npgsql connection string of a superuser. Make a database of your own; never use this one for data.</summary>
    public string PostgreSql => _servers.Addresses.PostgreSql;

    /// <summary>A StackExchange.Redis configuration string. A restart empties this server: QueueMaaS must treat it as a cache.</summary>
    public string Redis => _servers.Addresses.Redis;

    /// <summary><c>amqp://user:password@host:port/</c>. Make a virtual host or unique queue names of your own.</summary>
    public string RabbitMq => _servers.Addresses.RabbitMq;

    /// <summary><c>containers</c>, <c>local</c> or <c>given</c>.</summary>
    public string Kind => _servers.Kind;

    /// <summary>False only for servers given from outside, which are not ours to stop.</summary>
    public bool CanBeRestarted => _servers.CanBeRestarted;

    public static async Task<TestServers> StartAsync(Action<string> say, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(say);
        var given = GivenServers.FromEnvironment();
        if (given is not null)
        {
            await Readiness.WaitForAllAsync(given.Addresses, TimeSpan.FromSeconds(30), cancellationToken);
            return new TestServers(given);
        }

        var only = Environment.GetEnvironmentVariable("QUEUEMAAS_TEST_SERVERS");
        if (only is not (null or "" or "containers" or "local"))
            throw new ServersUnavailableException($"QUEUEMAAS_TEST_SERVERS is '{only}'; it may be 'containers' or 'local'.");

        var refusals = new List<string>();
        if (only is not "local")
        {
            var containers = await ContainerServers.TryStartAsync(say, patient: only is "containers", cancellationToken);
            if (containers.Servers is not null) return new TestServers(containers.Servers);
            refusals.Add($"containers: {containers.Refusal}");
            say($"No containers: {containers.Refusal}");
        }

        if (only is not "containers" && !OperatingSystem.IsWindows())
        {
            var binaries = await LocalBinaries.FindOrInstallAsync(say, cancellationToken);
            if (binaries.Missing.Count == 0)
                return new TestServers(await LocalServers.StartAsync(binaries, say, tls: null, cancellationToken));
            refusals.Add($"local: not found on this machine: {string.Join(", ", binaries.Missing)}");
        }

        throw new ServersUnavailableException(
            $"""
            The tests need RabbitMQ, PostgreSQL and Redis, and none of the ways to have them works here:
              {string.Join(Environment.NewLine + "  ", refusals)}
            Do one of these:
              - start a Docker engine that has, or can pull, {ContainerServers.ImageNames};
              - Debian or Ubuntu: sudo apt-get install --no-install-recommends {DebianPackages.All}
                Fedora: sudo dnf install rabbitmq-server redis postgresql-server
                macOS: brew install rabbitmq redis postgresql
              - name running servers in QUEUEMAAS_TEST_RABBITMQ, QUEUEMAAS_TEST_POSTGRES and QUEUEMAAS_TEST_REDIS.
            """);
    }

    /// <summary>Servers that speak TLS and nothing else, of the machine's own binaries.</summary>
    /// <param name="folder">Has <c>server.pem</c> and <c>server.key</c>, for <c>localhost</c>; read anew at each start of a server.</param>
    /// <param name="say">Told what happens.</param>
    /// <param name="cancellationToken">Ends the start.</param>
    /// <exception cref="ServersUnavailableException">The machine has no such binaries.</exception>
    public static async Task<TestServers> StartWithTlsAsync(string folder, Action<string> say, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(say);
        if (OperatingSystem.IsWindows())
            throw new ServersUnavailableException("Servers with TLS are the machine's own, and Windows has none.");
        var binaries = await LocalBinaries.FindOrInstallAsync(say, cancellationToken);
        if (binaries.Missing.Count > 0)
            throw new ServersUnavailableException($"Servers with TLS are the machine's own, and it lacks {string.Join(", ", binaries.Missing)}.");
        return new TestServers(await LocalServers.StartAsync(binaries, say, folder, cancellationToken));
    }

    public Task StopRabbitMqAsync(CancellationToken cancellationToken) => StopAsync(Server.RabbitMq, cancellationToken);

    public Task StartRabbitMqAsync(CancellationToken cancellationToken) => StartAsync(Server.RabbitMq, cancellationToken);

    public Task RestartRabbitMqAsync(CancellationToken cancellationToken) => RestartAsync(Server.RabbitMq, cancellationToken);

    public Task StopPostgreSqlAsync(CancellationToken cancellationToken) => StopAsync(Server.PostgreSql, cancellationToken);

    public Task StartPostgreSqlAsync(CancellationToken cancellationToken) => StartAsync(Server.PostgreSql, cancellationToken);

    public Task RestartPostgreSqlAsync(CancellationToken cancellationToken) => RestartAsync(Server.PostgreSql, cancellationToken);

    public Task StopRedisAsync(CancellationToken cancellationToken) => StopAsync(Server.Redis, cancellationToken);

    public Task StartRedisAsync(CancellationToken cancellationToken) => StartAsync(Server.Redis, cancellationToken);

    public Task RestartRedisAsync(CancellationToken cancellationToken) => RestartAsync(Server.Redis, cancellationToken);

    /// <summary>Stops a server. Does nothing when it is stopped already.</summary>
    public Task StopAsync(Server server, CancellationToken cancellationToken) => _servers.StopAsync(server, cancellationToken);

    /// <summary>Starts a stopped server at its old address and returns when it answers. Does nothing when it runs.</summary>
    public Task StartAsync(Server server, CancellationToken cancellationToken) => _servers.StartAsync(server, cancellationToken);

    /// <summary>Raises RabbitMQ's disk alarm: it takes nothing more from publishers.</summary>
    public Task RaiseDiskAlarmAsync(CancellationToken cancellationToken) => _servers.SetDiskAlarmAsync(raised: true, cancellationToken);

    public Task EndDiskAlarmAsync(CancellationToken cancellationToken) => _servers.SetDiskAlarmAsync(raised: false, cancellationToken);

    public async Task RestartAsync(Server server, CancellationToken cancellationToken)
    {
        await StopAsync(server, cancellationToken);
        await StartAsync(server, cancellationToken);
    }

    public ValueTask DisposeAsync() => _servers.DisposeAsync();
}
