using System.Globalization;
using QueueMaaS.Jobs.Settings;
using RabbitMQ.Client;
using RabbitMQ.Client.Exceptions;

namespace QueueMaaS.Messaging.RabbitMq;

/// <summary>
/// One connection of this process to the broker for what goes by the thousand: submissions in, events and pointers out. MassTransit's own way of sending and consuming costs several
/// times what the broker's client does, and a message of a few dozen bytes has no use for it. Opened at the first use, and again after it was lost.
/// </summary>
internal sealed class RabbitConnection(BusOptions options, ServerTrust trust) : IAsyncDisposable
{
    /// <summary>What the broker is called where its certificate is spoken of.</summary>
    public const string ServerName = "RabbitMQ";

    private readonly string _address = options.RabbitMq!;
    private readonly SemaphoreSlim _opening = new(1);
    private IConnection? _connection;

    /// <summary>A channel whose publishes complete when the broker has confirmed them. It belongs to the caller, who asks for another when it is closed.</summary>
    public Task<IChannel> OpenChannelAsync(CancellationToken cancellationToken) => OpenChannelAsync(tracksConfirms: true, cancellationToken);

    /// <summary>The same; without tracking, a publish completes when it is written, and the caller listens to the channel's confirms.</summary>
    public async Task<IChannel> OpenChannelAsync(bool tracksConfirms, CancellationToken cancellationToken)
    {
        var connection = await ConnectAsync(cancellationToken);
        return await connection.CreateChannelAsync(new CreateChannelOptions(publisherConfirmationsEnabled: true, publisherConfirmationTrackingEnabled: tracksConfirms), cancellationToken);
    }

    /// <summary>Declares a queue of the service as MassTransit's endpoints declare theirs: RabbitMQ refuses one that is there in another form, and closes the channel.</summary>
    public Task DeclareQueueAsync(string queue, CancellationToken cancellationToken) => DeclareAsync(queue, [], cancellationToken);

    /// <summary>
    /// Declares a queue whose messages exist nowhere else. Since version 4, RabbitMQ drops a message of a quorum queue that came back 20 times, as it does when its consumer is killed
    /// again and again (https://www.rabbitmq.com/docs/quorum-queues, "poison message handling"); here it must not.
    /// </summary>
    /// <returns>Whether every message stays. No, where the queue is there already in another form, as an earlier version of the service made it.</returns>
    public async Task<bool> DeclareKeepingQueueAsync(string queue, CancellationToken cancellationToken)
    {
        // Version 3 has no such limit by itself, and is said to take a negative one for zero, which drops a message at its first return.
        if (options.QueueType != "quorum" || MajorVersion(await ServerVersionAsync(cancellationToken)) < 4)
        {
            await DeclareQueueAsync(queue, cancellationToken);
            return true;
        }

        try
        {
            await DeclareAsync(queue, new() { ["x-delivery-limit"] = -1 }, cancellationToken);
            return true;
        }
        catch (OperationInterruptedException exception) when (exception.ShutdownReason?.ReplyCode == Constants.PreconditionFailed)
        {
            await DeclareQueueAsync(queue, cancellationToken);
            return false;
        }
    }

    /// <summary>Why the broker's certificate is refused; null where it is not.</summary>
    public string? Refusal => trust.Refusal(ServerName);

    /// <summary>Where the broker is, without who we are there.</summary>
    public string Authority { get; } = new Uri(options.RabbitMq!).Authority.Split('@')[^1];

    /// <summary>The broker's version, as it introduced itself.</summary>
    public async Task<string> ServerVersionAsync(CancellationToken cancellationToken)
    {
        var connection = await ConnectAsync(cancellationToken);
        return connection.ServerProperties?.TryGetValue("version", out var version) == true && version is byte[] text ? System.Text.Encoding.UTF8.GetString(text) : "unknown";
    }

    public async ValueTask DisposeAsync()
    {
        if (_connection is not null)
            await _connection.DisposeAsync();
        _opening.Dispose();
    }

    private async Task DeclareAsync(string queue, Dictionary<string, object?> arguments, CancellationToken cancellationToken)
    {
        await using var channel = await OpenChannelAsync(cancellationToken);
        if (options.QueueType == "quorum")
            arguments["x-queue-type"] = options.QueueType;
        await channel.QueueDeclareAsync(queue, durable: true, exclusive: false, autoDelete: false, arguments, cancellationToken: cancellationToken);
    }

    private static int MajorVersion(string version) => int.TryParse(version.Split('.')[0], NumberStyles.None, CultureInfo.InvariantCulture, out var major) ? major : 0;

    private async Task<IConnection> ConnectAsync(CancellationToken cancellationToken)
    {
        if (_connection is { IsOpen: true } open)
            return open;
        await _opening.WaitAsync(cancellationToken);
        try
        {
            if (_connection is { IsOpen: true } opened)
                return opened;
            if (_connection is not null)
                await _connection.DisposeAsync();
            _connection = null;
            // Whoever publishes tries again by itself, so the client need not restore anything behind our back.
            var factory = new ConnectionFactory { Uri = Amqp(_address), AutomaticRecoveryEnabled = false, RequestedHeartbeat = TimeSpan.FromSeconds(10) };
            factory.Ssl.CertificateValidationCallback = trust.CheckOf(ServerName);
            return _connection = options.Nodes.Length == 0
                ? await factory.CreateConnectionAsync("queuemaas", cancellationToken)
                : await factory.CreateConnectionAsync(options.Nodes.Select(node => Node(node, factory)), "queuemaas", cancellationToken);
        }
        finally
        {
            _opening.Release();
        }
    }

    private static AmqpTcpEndpoint Node(string node, ConnectionFactory factory)
    {
        var endpoint = AmqpTcpEndpoint.Parse(node);
        endpoint.Ssl = factory.Ssl;
        return endpoint;
    }

    /// <summary>MassTransit's own scheme names the same thing.</summary>
    private static Uri Amqp(string address) => new(address.Replace("rabbitmqs://", "amqps://", StringComparison.Ordinal).Replace("rabbitmq://", "amqp://", StringComparison.Ordinal));
}
