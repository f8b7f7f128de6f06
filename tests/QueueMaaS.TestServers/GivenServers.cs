namespace QueueMaaS.Testing;

/// <summary>
/// Servers that someone else runs, named by environment variables. When that someone is this program's exec command,
/// QUEUEMAAS_TEST_CONTROL names the socket through which they can still be stopped and started.
/// </summary>
internal sealed class GivenServers(ServerAddresses addresses, string? controlSocket) : IServerSet
{
    public const string RabbitMqVariable = "QUEUEMAAS_TEST_RABBITMQ";
    public const string PostgreSqlVariable = "QUEUEMAAS_TEST_POSTGRES";
    public const string RedisVariable = "QUEUEMAAS_TEST_REDIS";
    public const string ControlVariable = "QUEUEMAAS_TEST_CONTROL";

    public string Kind => "given";

    public ServerAddresses Addresses => addresses;

    public bool CanBeRestarted => controlSocket is not null;

    public static GivenServers? FromEnvironment()
    {
        string[] names = [RabbitMqVariable, PostgreSqlVariable, RedisVariable];
        var values = names.Select(static name => Environment.GetEnvironmentVariable(name) is { Length: > 0 } value ? value : null).ToArray();
        if (Array.TrueForAll(values, static value => value is null)) return null;
        if (Array.IndexOf(values, null) is >= 0 and var missing)
            throw new ServersUnavailableException($"{names[missing]} is not set; name all three servers ({string.Join(", ", names)}) or none.");
        var control = Environment.GetEnvironmentVariable(ControlVariable) is { Length: > 0 } socket ? socket : null;
        return new GivenServers(new ServerAddresses(values[0]!, values[1]!, values[2]!), control);
    }

    public Task StopAsync(Server server, CancellationToken cancellationToken) =>
        ControlSocket.SendAsync(RequireControl(), "stop", server, cancellationToken);

    public Task StartAsync(Server server, CancellationToken cancellationToken) =>
        ControlSocket.SendAsync(RequireControl(), "start", server, cancellationToken);

    public Task SetDiskAlarmAsync(bool raised, CancellationToken cancellationToken) =>
        ControlSocket.SendAsync(RequireControl(), raised ? "alarm" : "calm", Server.RabbitMq, cancellationToken);

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private string RequireControl() =>
        controlSocket ?? throw new ServersUnavailableException("These servers were given from outside and are not stopped or started by tests. Unset QUEUEMAAS_TEST_RABBITMQ, _POSTGRES and _REDIS for this test.");
}
