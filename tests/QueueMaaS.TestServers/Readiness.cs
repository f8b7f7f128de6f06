using System.Net.Security;
using System.Net.Sockets;
using System.Text;
using Npgsql;

namespace QueueMaaS.Testing;

/// <summary>
/// Asks a server a question in its own protocol. An open port is not enough: PostgreSQL refuses logins while it
/// recovers, Redis refuses commands while it loads.
/// </summary>
internal static class Readiness
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan OneTry = TimeSpan.FromSeconds(5);

    public static Task WaitForAllAsync(ServerAddresses addresses, TimeSpan limit, CancellationToken cancellationToken) =>
        Task.WhenAll(Enum.GetValues<Server>().Select(server => WaitAsync(server, addresses, limit, static () => null, cancellationToken)));

    /// <summary>Asks until the server answers, it has failed for good, or the time is over.</summary>
    /// <param name="findFailure">Says why waiting longer is useless (the process has ended), or null.</param>
    public static async Task WaitAsync(Server server, ServerAddresses addresses, TimeSpan limit, Func<string?> findFailure, CancellationToken cancellationToken)
    {
        var deadline = TimeProvider.System.GetTimestamp() + (long)(limit.TotalSeconds * TimeProvider.System.TimestampFrequency);
        while (true)
        {
            Exception refusal;
            try
            {
                using var oneTry = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
                oneTry.CancelAfter(OneTry);
                await AskAsync(server, addresses, oneTry.Token);
                return;
            }
            catch (Exception exception) when (!cancellationToken.IsCancellationRequested)
            {
                refusal = exception;
            }

            if (findFailure() is { } failure) throw new ServersUnavailableException(failure, refusal);
            if (TimeProvider.System.GetTimestamp() > deadline)
                throw new ServersUnavailableException($"{server} did not answer within {limit.TotalSeconds:0} s: {refusal.Message}", refusal);
            await Task.Delay(Pause, cancellationToken);
        }
    }

    private static Task AskAsync(Server server, ServerAddresses addresses, CancellationToken cancellationToken) => server switch
    {
        Server.RabbitMq => AskRabbitMqAsync(new Uri(addresses.RabbitMq), cancellationToken),
        Server.PostgreSql => AskPostgreSqlAsync(addresses.PostgreSql, cancellationToken),
        _ => AskRedisAsync(addresses.Redis, cancellationToken),
    };

    // RabbitMQ opens its listeners last, after its users exist; it then answers the protocol header with Connection.Start.
    private static async Task AskRabbitMqAsync(Uri address, CancellationToken cancellationToken)
    {
        var port = address.IsDefaultPort ? 5672 : address.Port;
        var answer = await ExchangeAsync(address.Host, port, address.Scheme == "amqps", "AMQP\0\0\u0009\u0001"u8.ToArray(), cancellationToken);
        if (answer is not [1, 0, 0, ..]) throw new IOException("What answers is not an AMQP 0-9-1 server.");
    }

    private static async Task AskPostgreSqlAsync(string connectionString, CancellationToken cancellationToken)
    {
        // Without a pool, so that no connection of ours dies when a test stops the server.
        await using var connection = new NpgsqlConnection(new NpgsqlConnectionStringBuilder(connectionString) { Pooling = false }.ConnectionString);
        await connection.OpenAsync(cancellationToken);
        await using var command = new NpgsqlCommand("SELECT 1", connection);
        await command.ExecuteScalarAsync(cancellationToken);
    }

    private static async Task AskRedisAsync(string configuration, CancellationToken cancellationToken)
    {
        var parts = configuration.Split(',');
        var colon = parts[0].LastIndexOf(':');
        var (host, port) = colon < 0 ? (parts[0], 6379) : (parts[0][..colon], int.Parse(parts[0][(colon + 1)..]));
        var password = parts.FirstOrDefault(part => part.StartsWith("password=", StringComparison.OrdinalIgnoreCase))?["password=".Length..];
        var question = password is null ? "PING\r\n" : $"AUTH {password}\r\nPING\r\n";
        var answer = Encoding.ASCII.GetString(await ExchangeAsync(host, port, configuration.Contains("ssl=true", StringComparison.Ordinal), Encoding.ASCII.GetBytes(question), cancellationToken));
        if (!answer.StartsWith(password is null ? "+PONG" : "+OK", StringComparison.Ordinal)) throw new IOException($"Redis answered '{answer.Trim()}'.");
    }

    private static async Task<byte[]> ExchangeAsync(string host, int port, bool tls, byte[] question, CancellationToken cancellationToken)
    {
        using var client = new TcpClient();
        await client.ConnectAsync(host, port, cancellationToken);
        Stream stream = client.GetStream();
        if (tls)
        {
            // Only whether it answers is asked here: whom to trust is for the tests.
            var encrypted = new SslStream(stream);
#pragma warning disable CA5359
            await encrypted.AuthenticateAsClientAsync(new SslClientAuthenticationOptions { TargetHost = host, RemoteCertificateValidationCallback = static (_, _, _, _) => true }, cancellationToken);
#pragma warning restore CA5359
            stream = encrypted;
        }

        await using var closing = stream;
        await stream.WriteAsync(question, cancellationToken);
        var answer = new byte[64];
        var length = await stream.ReadAsync(answer, cancellationToken);
        return length == 0 ? throw new IOException("The server closed the connection without an answer.") : answer[..length];
    }
}
