namespace QueueMaaS.Testing;

/// <summary>The three servers that QueueMaaS works with.</summary>
public enum Server
{
    RabbitMq,
    PostgreSql,
    Redis,
}

/// <summary>How much of its disk RabbitMQ wants to be free.</summary>
internal static class DiskLimits
{
    /// <summary>A nearly full build machine must not block publishers.</summary>
    public const string Usual = "50MB";

    /// <summary>More than any disk has.</summary>
    public const string Never = "1000000GB";
}

/// <summary>How the three servers are reached, in the form that the program's configuration takes.</summary>
/// <param name="RabbitMq"><c>amqp://user:password@host:port/</c></param>
/// <param name="PostgreSql">An Npgsql connection string of a superuser; each test makes its own database.</param>
/// <param name="Redis">A StackExchange.Redis configuration string.</param>
internal sealed record ServerAddresses(string RabbitMq, string PostgreSql, string Redis);

/// <summary>One way to have the three servers.</summary>
internal interface IServerSet : IAsyncDisposable
{
    string Kind { get; }

    ServerAddresses Addresses { get; }

    bool CanBeRestarted { get; }

    Task StopAsync(Server server, CancellationToken cancellationToken);

    /// <summary>Starts a stopped server at its old address, with the data it had, and returns when it answers.</summary>
    Task StartAsync(Server server, CancellationToken cancellationToken);

    /// <summary>Makes RabbitMQ believe that its disk is full, or no longer so.</summary>
    Task SetDiskAlarmAsync(bool raised, CancellationToken cancellationToken);
}

/// <summary>None of the ways to have servers works here; the message says what to install.</summary>
public sealed class ServersUnavailableException(string message, Exception? inner = null) : Exception(message, inner);
