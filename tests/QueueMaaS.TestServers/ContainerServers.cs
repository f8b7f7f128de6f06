using System.Net;
using System.Net.Sockets;
using DotNet.Testcontainers.Containers;
using Microsoft.Extensions.Logging.Abstractions;
using Testcontainers.PostgreSql;
using Testcontainers.RabbitMq;
using Testcontainers.Redis;

namespace QueueMaaS.Testing;

/// <summary>The three servers as containers of a Docker engine.</summary>
internal sealed class ContainerServers : IServerSet
{
    private readonly IReadOnlyDictionary<Server, DockerContainer> _containers;

    private ContainerServers(IReadOnlyDictionary<Server, DockerContainer> containers, ServerAddresses addresses)
    {
        _containers = containers;
        Addresses = addresses;
    }

    public string Kind => "containers";

    public ServerAddresses Addresses { get; }

    public bool CanBeRestarted => true;

    public static string ImageNames => string.Join(", ", RabbitMqImage, PostgreSqlImage, RedisImage);

    private static string RabbitMqImage => Image("QUEUEMAAS_TEST_RABBITMQ_IMAGE", "rabbitmq:4-management");

    private static string PostgreSqlImage => Image("QUEUEMAAS_TEST_POSTGRES_IMAGE", "postgres:17");

    private static string RedisImage => Image("QUEUEMAAS_TEST_REDIS_IMAGE", "redis:7");

    /// <summary>Starts the containers when a Docker engine answers that has the images or can get them.</summary>
    /// <param name="patient">True when there is no other way, so that a slow download is worth waiting for.</param>
    /// <returns>The servers, or the reason why there are none.</returns>
    public static async Task<(ContainerServers? Servers, string? Refusal)> TryStartAsync(Action<string> say, bool patient, CancellationToken cancellationToken)
    {
        var limit = patient ? TimeSpan.FromMinutes(10) : TimeSpan.FromMinutes(3);
        using var timeout = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        timeout.CancelAfter(limit);
        var containers = new Dictionary<Server, DockerContainer>();
        try
        {
            var ports = FreePorts(3);
            // No log: it goes to standard output, where whoever reads the export lines does not expect it.
            // Fixed host ports: Docker gives a restarted container another random one, and clients under test reconnect to the old.
            containers[Server.RabbitMq] = new RabbitMqBuilder(RabbitMqImage).WithUsername("queuemaas").WithPassword("queuemaas").WithLogger(NullLogger.Instance).WithPortBinding(ports[0], 5672).Build();
            containers[Server.PostgreSql] = new PostgreSqlBuilder(PostgreSqlImage).WithUsername("queuemaas").WithPassword("queuemaas").WithLogger(NullLogger.Instance).WithPortBinding(ports[1], 5432).Build();
            containers[Server.Redis] = new RedisBuilder(RedisImage).WithLogger(NullLogger.Instance).WithPortBinding(ports[2], 6379).Build();
            say($"Starting containers of {ImageNames} …");
            await Task.WhenAll(containers.Values.Select(container => container.StartAsync(timeout.Token)));
            var host = containers[Server.Redis].Hostname;
            var addresses = new ServerAddresses(
                $"amqp://queuemaas:queuemaas@{host}:{ports[0]}/",
                $"Host={host};Port={ports[1]};Username=queuemaas;Password=queuemaas;Database=postgres",
                $"{host}:{ports[2]},allowAdmin=true");
            await Readiness.WaitForAllAsync(addresses, TimeSpan.FromSeconds(60), timeout.Token);
            say("All three answer.");
            return (new ContainerServers(containers, addresses), null);
        }
        catch (Exception exception) when (!cancellationToken.IsCancellationRequested)
        {
            await DisposeAllAsync(containers.Values);
            var reason = timeout.IsCancellationRequested ? $"not ready within {limit.TotalMinutes:0} minutes" : FirstLine(exception);
            return (null, reason);
        }
        catch
        {
            await DisposeAllAsync(containers.Values);
            throw;
        }
    }

    public Task StopAsync(Server server, CancellationToken cancellationToken) => _containers[server].StopAsync(cancellationToken);

    public async Task StartAsync(Server server, CancellationToken cancellationToken)
    {
        await _containers[server].StartAsync(cancellationToken);
        await Readiness.WaitAsync(server, Addresses, TimeSpan.FromSeconds(120), static () => null, cancellationToken);
    }

    public async Task SetDiskAlarmAsync(bool raised, CancellationToken cancellationToken)
    {
        var result = await _containers[Server.RabbitMq].ExecAsync(["rabbitmqctl", "set_disk_free_limit", raised ? DiskLimits.Never : DiskLimits.Usual], cancellationToken);
        if (result.ExitCode != 0)
            throw new ServersUnavailableException($"rabbitmqctl failed with {result.ExitCode}: {result.Stderr}");
    }

    public async ValueTask DisposeAsync() => await DisposeAllAsync(_containers.Values);

    private static async Task DisposeAllAsync(IEnumerable<DockerContainer> containers)
    {
        foreach (var container in containers)
        {
            try
            {
                await container.DisposeAsync();
            }
            catch (Exception exception) when (exception is HttpRequestException or TimeoutException or IOException or InvalidOperationException)
            {
                // The engine went away, and with it what there was to remove.
            }
        }
    }

    private static string Image(string variable, string fallback) =>
        Environment.GetEnvironmentVariable(variable) is { Length: > 0 } image ? image : fallback;

    private static string FirstLine(Exception exception)
    {
        var message = (exception as AggregateException)?.InnerException?.Message ?? exception.Message;
        return message.Split('\n', 2)[0].Trim();
    }

    private static int[] FreePorts(int count)
    {
        var listeners = Enumerable.Range(0, count).Select(static _ => new TcpListener(IPAddress.Any, 0)).ToArray();
        foreach (var listener in listeners) listener.Start();
        var ports = listeners.Select(static listener => ((IPEndPoint)listener.LocalEndpoint).Port).ToArray();
        foreach (var listener in listeners) listener.Stop();
        return ports;
    }
}
