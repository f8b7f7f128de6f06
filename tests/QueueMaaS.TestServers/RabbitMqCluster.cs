using System.Security.Cryptography;

namespace QueueMaaS.Testing;

/// <summary>A cluster of the machine's own RabbitMQ on loopback, whose nodes can be killed and started again one by one.</summary>
public sealed class RabbitMqCluster : IAsyncDisposable
{
    private static readonly TimeSpan StartLimit = TimeSpan.FromSeconds(120);
    private readonly string _root = Directory.CreateTempSubdirectory("queuemaas-cluster-").FullName;
    private readonly List<RabbitMqNode> _nodes = [];
    private readonly Dictionary<int, SupervisedProcess> _processes = [];
    private SupervisedProcess? _portMapper;

    private RabbitMqCluster()
    {
    }

    /// <summary>Each node's <c>amqp://user:password@host:port/</c>.</summary>
    public IReadOnlyList<string> Addresses { get; private set; } = [];

    /// <summary>Starts the nodes and waits until all are in the cluster and answer.</summary>
    /// <exception cref="ServersUnavailableException">The machine has no RabbitMQ, or a node did not start.</exception>
    public static async Task<RabbitMqCluster> StartAsync(int nodes, Action<string> say, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(say);
        var binaries = await LocalBinaries.FindOrInstallAsync(say, cancellationToken);
        if (binaries.Missing.Contains(Server.RabbitMq))
            throw new ServersUnavailableException("A RabbitMQ cluster is of the machine's own programs, and it lacks RabbitMQ.");
        var cluster = new RabbitMqCluster();
        try
        {
            say($"Starting {nodes} RabbitMQ nodes in {cluster._root} …");
            await cluster.StartAsync(binaries, nodes, cancellationToken);
            say("All nodes answer.");
            return cluster;
        }
        catch
        {
            await cluster.DisposeAsync();
            throw;
        }
    }

    /// <summary>As <c>kill -9</c>, or as the loss of the machine but for its disk.</summary>
    public async Task KillAsync(int node)
    {
        _nodes[node].KillHard();
        if (_processes.Remove(node, out var process))
            await process.DisposeAsync();
    }

    /// <summary>Starts a node that was killed, at its old address and with what its disk has; returns when it answers.</summary>
    public async Task RestartAsync(int node, CancellationToken cancellationToken)
    {
        _processes[node] = _nodes[node].Launch();
        await WaitAsync(node, cancellationToken);
    }

    public async ValueTask DisposeAsync()
    {
        await Task.WhenAll(_processes.Values.Select(static process => process.DisposeAsync().AsTask()));
        // After the nodes, which talk to it while they stop.
        if (_portMapper is not null)
            await _portMapper.DisposeAsync();
        Directory.Delete(_root, recursive: true);
    }

    private async Task StartAsync(LocalBinaries binaries, int count, CancellationToken cancellationToken)
    {
        if (OperatingSystem.IsWindows())
            throw new ServersUnavailableException("A RabbitMQ cluster is of the machine's own programs, and Windows has none.");
        var ports = Ports.FreeList((2 * count) + 1);
        var password = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(12));
        for (var i = 0; i < count; i++)
            _nodes.Add(new RabbitMqNode(binaries, Directory.CreateDirectory(Path.Combine(_root, $"node-{i + 1}")).FullName, ports[2 * i], ports[(2 * i) + 1], ports[^1], password));
        Addresses = [.. Enumerable.Range(0, count).Select(i => $"amqp://queuemaas:{password}@127.0.0.1:{ports[2 * i]}/")];
        var peers = string.Join('\n', _nodes.Select((node, i) => $"cluster_formation.classic_config.nodes.{i + 1} = {node.Name}"));
        var mapper = Directory.CreateDirectory(Path.Combine(_root, "epmd")).FullName;
        _portMapper = SupervisedProcess.Start("epmd", mapper, "TERM", [binaries.Epmd], _nodes[0].Environment);
        for (var i = 0; i < count; i++)
        {
            // A node that is cut off with a minority stops, as those who run clusters set it.
            await _nodes[i].PrepareAsync(tls: null, $"cluster_partition_handling = pause_minority\ncluster_formation.peer_discovery_backend = classic_config\n{peers}", cancellationToken);
            _processes[i] = _nodes[i].Launch();
            // The first one makes the cluster, and the others find it.
            if (i == 0)
                await WaitAsync(0, cancellationToken);
        }

        await Task.WhenAll(Enumerable.Range(1, count - 1).Select(node => WaitAsync(node, cancellationToken)));
    }

    private Task WaitAsync(int node, CancellationToken cancellationToken) =>
        Readiness.WaitAsync(Server.RabbitMq, new ServerAddresses(Addresses[node], "", ""), StartLimit, _processes[node].FindFailure, cancellationToken);
}
