using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Runtime.Versioning;
using System.Security.Cryptography;

namespace QueueMaaS.Testing;

/// <summary>The machine's own server programs, on free loopback ports, with everything they write in one temporary folder.</summary>
[UnsupportedOSPlatform("windows")]
internal sealed class LocalServers : IServerSet
{
    private static readonly TimeSpan StartLimit = TimeSpan.FromSeconds(120);

    private readonly LocalBinaries _binaries;
    private readonly string _root;
    private readonly Ports _ports;
    private readonly string? _tls;
    private readonly RabbitMqNode _rabbitMq;
    private readonly string _password = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(12));
    private readonly Dictionary<Server, SupervisedProcess> _running = [];
    private readonly SemaphoreSlim _change = new(1);
    private SupervisedProcess? _portMapper;

    private LocalServers(LocalBinaries binaries, string root, Ports ports, string? tls)
    {
        _binaries = binaries;
        _root = root;
        _ports = ports;
        _tls = tls;
        _rabbitMq = new RabbitMqNode(binaries, RabbitMqFolder, ports.RabbitMq, ports.Distribution, ports.PortMapper, _password);
        Addresses = tls is null
            ? new ServerAddresses(
                $"amqp://queuemaas:{_password}@127.0.0.1:{ports.RabbitMq}/",
                $"Host=127.0.0.1;Port={ports.PostgreSql};Username=queuemaas;Password={_password};Database=postgres",
                $"127.0.0.1:{ports.Redis},password={_password},allowAdmin=true")
            : new ServerAddresses(
                $"amqps://queuemaas:{_password}@localhost:{ports.RabbitMq}/",
                $"Host=localhost;Port={ports.PostgreSql};Username=queuemaas;Password={_password};Database=postgres;SSL Mode=Require",
                $"localhost:{ports.Redis},password={_password},allowAdmin=true,ssl=true");
    }

    public string Kind => "local";

    public ServerAddresses Addresses { get; }

    public bool CanBeRestarted => true;

    private string RabbitMqFolder => Path.Combine(_root, "rabbitmq");

    private string PostgreSqlFolder => Path.Combine(_root, "postgresql");

    private string RedisFolder => Path.Combine(_root, "redis");

    /// <param name="binaries">The programs.</param>
    /// <param name="say">Told what happens.</param>
    /// <param name="tls">A folder with <c>server.pem</c> and <c>server.key</c>, read anew at each start of a server: they then speak TLS and nothing else. Null: without TLS.</param>
    /// <param name="cancellationToken">Ends the start.</param>
    public static async Task<LocalServers> StartAsync(LocalBinaries binaries, Action<string> say, string? tls, CancellationToken cancellationToken)
    {
        var root = Directory.CreateTempSubdirectory("queuemaas-servers-").FullName;
        var servers = new LocalServers(binaries, root, Ports.Free(), tls);
        try
        {
            say($"Starting the machine's own RabbitMQ, PostgreSQL and Redis in {root} …");
            await servers.PrepareAsync(cancellationToken);
            foreach (var server in Enum.GetValues<Server>()) servers.Launch(server);
            await Task.WhenAll(Enum.GetValues<Server>().Select(server => servers.WaitAsync(server, cancellationToken)));
            say("All three answer.");
            return servers;
        }
        catch
        {
            await servers.DisposeAsync();
            throw;
        }
    }

    public async Task StopAsync(Server server, CancellationToken cancellationToken)
    {
        await _change.WaitAsync(cancellationToken);
        try
        {
            if (_running.Remove(server, out var process)) await process.DisposeAsync();
        }
        finally
        {
            _change.Release();
        }
    }

    public async Task StartAsync(Server server, CancellationToken cancellationToken)
    {
        await _change.WaitAsync(cancellationToken);
        try
        {
            if (!_running.ContainsKey(server))
            {
                // The files are the other user's by now: they are written over, not replaced.
                if (server == Server.PostgreSql) CopyCertificate(server);
                Launch(server);
            }

            await WaitAsync(server, cancellationToken);
        }
        finally
        {
            _change.Release();
        }
    }

    public Task SetDiskAlarmAsync(bool raised, CancellationToken cancellationToken) =>
        RunAsync([Path.Combine(Path.GetDirectoryName(_binaries.RabbitMq)!, "rabbitmqctl"), "set_disk_free_limit", raised ? DiskLimits.Never : DiskLimits.Usual], cancellationToken, _rabbitMq.Environment);

    public async ValueTask DisposeAsync()
    {
        await Task.WhenAll(_running.Values.Select(static process => process.DisposeAsync().AsTask()));
        _running.Clear();
        // After RabbitMQ, which talks to it while it stops.
        if (_portMapper is not null) await _portMapper.DisposeAsync();
        _portMapper = null;
        _change.Dispose();
        if (Directory.Exists(_root)) Directory.Delete(_root, recursive: true);
    }

    private Task WaitAsync(Server server, CancellationToken cancellationToken) =>
        Readiness.WaitAsync(server, Addresses, StartLimit, _running[server].FindFailure, cancellationToken);

    private async Task PrepareAsync(CancellationToken cancellationToken)
    {
        // Another user (postgres) must reach its folder through this one.
        File.SetUnixFileMode(_root, (UnixFileMode)0b111_001_001);
        foreach (var folder in (string[])[RabbitMqFolder, PostgreSqlFolder, RedisFolder, Path.Combine(_root, "epmd")])
            Directory.CreateDirectory(folder, (UnixFileMode)0b111_000_000);
        await _rabbitMq.PrepareAsync(_tls is null ? null : RabbitMqTls, cluster: null, cancellationToken);
        await PrepareRedisAsync(cancellationToken);
        await PreparePostgreSqlAsync(cancellationToken);
    }

    private Task PrepareRedisAsync(CancellationToken cancellationToken) =>
        File.WriteAllTextAsync(
            Path.Combine(RedisFolder, "redis.conf"),
            $"""
            bind 127.0.0.1
            {(_tls is null ? $"port {_ports.Redis}" : RedisTls)}
            requirepass {_password}
            dir {RedisFolder}
            # Keeps nothing: a restart in a test loses all, as the loss of a cache does.
            save ""
            appendonly no

            """,
            cancellationToken);

    private async Task PreparePostgreSqlAsync(CancellationToken cancellationToken)
    {
        var passwordFile = Path.Combine(PostgreSqlFolder, "password");
        await File.WriteAllTextAsync(passwordFile, _password + "\n", cancellationToken);
        CopyCertificate(Server.PostgreSql);
        if (Environment.IsPrivilegedProcess) await RunAsync(["chown", "-R", "postgres:postgres", PostgreSqlFolder], cancellationToken);
        await RunAsync(
            [
                .. AsPostgreSqlUser, Path.Combine(_binaries.PostgreSqlFolder, "initdb"), "--pgdata", Path.Combine(PostgreSqlFolder, "data"),
                "--username=queuemaas", "--pwfile", passwordFile, "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync",
            ],
            cancellationToken);
        if (_tls is null)
            return;
        // PostgreSQL with TLS takes plain connections, too, unless this file says otherwise.
        var access = Path.Combine(PostgreSqlFolder, "data", "pg_hba.conf");
        await RunAsync(["sed", "-i", "s/^host /hostssl /", access], cancellationToken);
        if (Environment.IsPrivilegedProcess) await RunAsync(["chown", "postgres:postgres", access], cancellationToken);
    }

    private string RabbitMqTls =>
        $"""
        listeners.tcp = none
        listeners.ssl.default = 127.0.0.1:{_ports.RabbitMq}
        ssl_options.certfile = {Path.Combine(RabbitMqFolder, "server.pem")}
        ssl_options.keyfile = {Path.Combine(RabbitMqFolder, "server.key")}
        """;

    private string RedisTls =>
        $"""
        port 0
        tls-port {_ports.Redis}
        tls-auth-clients no
        tls-cert-file {Path.Combine(RedisFolder, "server.pem")}
        tls-key-file {Path.Combine(RedisFolder, "server.key")}
        tls-ca-cert-file {Path.Combine(RedisFolder, "server.pem")}
        """;

    /// <summary>Each server has copies that it owns, as PostgreSQL insists on.</summary>
    private void CopyCertificate(Server server)
    {
        if (_tls is null)
            return;
        var folder = server switch { Server.RabbitMq => RabbitMqFolder, Server.PostgreSql => PostgreSqlFolder, _ => RedisFolder };
        foreach (var name in (string[])["server.pem", "server.key"])
        {
            File.Copy(Path.Combine(_tls, name), Path.Combine(folder, name), overwrite: true);
            File.SetUnixFileMode(Path.Combine(folder, name), UnixFileMode.UserRead | UnixFileMode.UserWrite);
        }
    }

    private string[] PostgreSqlTls => _tls is null
        ? []
        : ["-c", "ssl=on", "-c", $"ssl_cert_file={Path.Combine(PostgreSqlFolder, "server.pem")}", "-c", $"ssl_key_file={Path.Combine(PostgreSqlFolder, "server.key")}"];

    // PostgreSQL refuses to run as root. setpriv becomes the server by exec, so that signals reach it; su and runuser stay in between.
    private static string[] AsPostgreSqlUser =>
        Environment.IsPrivilegedProcess ? ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", "--"] : [];

    private void Launch(Server server)
    {
        if (server != Server.PostgreSql)
            CopyCertificate(server);
        _running[server] = server switch
        {
            Server.RabbitMq => LaunchRabbitMq(),
            Server.PostgreSql => LaunchPostgreSql(),
            _ => SupervisedProcess.Start("redis", RedisFolder, "TERM", [_binaries.Redis, Path.Combine(RedisFolder, "redis.conf")]),
        };
    }

    private SupervisedProcess LaunchPostgreSql() => SupervisedProcess.Start(
        "postgresql",
        PostgreSqlFolder,
        // The fast shutdown: open sessions are ended, data is written.
        "INT",
        [
            .. AsPostgreSqlUser, Path.Combine(_binaries.PostgreSqlFolder, "postgres"), "-D", Path.Combine(PostgreSqlFolder, "data"), "-p", $"{_ports.PostgreSql}",
            "-c", "listen_addresses=127.0.0.1", "-c", $"unix_socket_directories={PostgreSqlFolder}", "-c", "max_connections=300",
            "-c", "shared_buffers=128MB", .. Durability, .. PostgreSqlTls,
        ]);

    // A test's data need not survive the loss of the machine; a benchmark that is to be honest waits for the disk (QUEUEMAAS_TEST_DURABLE=1).
    private static string[] Durability => Environment.GetEnvironmentVariable("QUEUEMAAS_TEST_DURABLE") is "1" ? [] : ["-c", "fsync=off", "-c", "full_page_writes=off"];

    private SupervisedProcess LaunchRabbitMq()
    {
        _portMapper ??= SupervisedProcess.Start("epmd", Path.Combine(_root, "epmd"), "TERM", [_binaries.Epmd], _rabbitMq.Environment);
        return _rabbitMq.Launch();
    }

    private static async Task RunAsync(string[] command, CancellationToken cancellationToken, IReadOnlyDictionary<string, string>? environment = null)
    {
        // From a folder that the other user may read.
        var start = new ProcessStartInfo(command[0], command[1..]) { UseShellExecute = false, RedirectStandardOutput = true, RedirectStandardError = true, WorkingDirectory = "/" };
        foreach (var (name, value) in environment ?? new Dictionary<string, string>())
            start.Environment[name] = value;
        using var process = Process.Start(start)!;
        var output = process.StandardOutput.ReadToEndAsync(cancellationToken);
        var errors = process.StandardError.ReadToEndAsync(cancellationToken);
        await process.WaitForExitAsync(cancellationToken);
        if (process.ExitCode != 0)
            throw new ServersUnavailableException($"{string.Join(' ', command)} failed with {process.ExitCode}: {await output}{await errors}");
    }
}

/// <summary>Loopback ports that nothing listened on a moment ago.</summary>
internal sealed record Ports(int RabbitMq, int PostgreSql, int Redis, int Distribution, int PortMapper)
{
    public static Ports Free()
    {
        var ports = FreeList(5);
        return new Ports(ports[0], ports[1], ports[2], ports[3], ports[4]);
    }

    public static int[] FreeList(int count)
    {
        // All held at once, so that no number comes twice.
        var listeners = Enumerable.Range(0, count).Select(static _ => new TcpListener(IPAddress.Loopback, 0)).ToArray();
        foreach (var listener in listeners) listener.Start();
        var ports = listeners.Select(static listener => ((IPEndPoint)listener.LocalEndpoint).Port).ToArray();
        foreach (var listener in listeners) listener.Stop();
        return ports;
    }
}
