namespace QueueMaaS.Testing;

/// <summary>The three servers that QueueMaaS works with.</summary>
public enum Server
{
    RabbitMq,
    PostgreSql,
    Redis,
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
}

/// <summary>None of the ways to have servers works here; the message says what to install.</summary>
public sealed class ServersUnavailableException(string message, Exception? inner = null) : Exception(message, inner);
