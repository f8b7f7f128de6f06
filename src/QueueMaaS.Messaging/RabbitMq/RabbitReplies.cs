using System.Text;
using System.Text.Json;
using QueueMaaS.Contracts;
using QueueMaaS.Messaging.Submission;
using RabbitMQ.Client;
using RabbitMQ.Client.Exceptions;

namespace QueueMaaS.Messaging.RabbitMq;

/// <summary>
/// Answers producers that ask for it: by AMQP's <c>reply_to</c> and <c>correlation_id</c>, or as a MassTransit client's request wants it, in an envelope where the request came in one
/// (https://masstransit.io/documentation/concepts/messages, "message headers").
/// </summary>
internal sealed class RabbitReplies(RabbitChannel channel, TimeProvider time)
{
    private const string ReplyType = "urn:message:QueueMaaS.Contracts:SubmissionReply";
    private const string EnvelopeType = "application/vnd.masstransit+json";

    /// <summary>Sends the reply where one is asked for. A producer that has gone away is not waited for: its reply queue is gone with it, and the broker drops the message.</summary>
    public async Task SendAsync(SubmissionMessage message, IReadOnlyBasicProperties came, SubmissionReply reply, CancellationToken cancellationToken)
    {
        if (message is { RequestId: { } requestId, ResponseAddress: { } address })
            await PublishAsync(QueueOf(address), ForMassTransit(message, requestId, came.CorrelationId), message.IsEnveloped ? Envelope(requestId, address, reply) : Body(reply), cancellationToken);
        else if (!string.IsNullOrEmpty(came.ReplyTo))
            await PublishAsync(came.ReplyTo, new BasicProperties { ContentType = "application/json", CorrelationId = came.CorrelationId }, Body(reply), cancellationToken);
    }

    private async Task PublishAsync(string queue, BasicProperties properties, byte[] body, CancellationToken cancellationToken)
    {
        // AMQP knows no longer name, so there can be no such queue.
        if (Encoding.UTF8.GetByteCount(queue) > byte.MaxValue)
            return;
        try
        {
            await channel.PublishAsync(open => open.BasicPublishAsync("", queue, mandatory: false, properties, body, cancellationToken).AsTask(), cancellationToken);
        }
        catch (PublishException)
        {
            // Its queue takes nothing: it is full, or going away. The job is there all the same, and the producer can ask for it.
        }
    }

    private BasicProperties ForMassTransit(SubmissionMessage message, string requestId, string? correlationId) => new()
    {
        ContentType = message.IsEnveloped ? EnvelopeType : "application/json",
        CorrelationId = correlationId,
        MessageId = Guid.CreateVersion7(time.GetUtcNow()).ToString(),
        Headers = new Dictionary<string, object?> { ["RequestId"] = requestId, ["MT-MessageType"] = ReplyType },
    };

    /// <summary>An endpoint's queue has the name of its exchange, the last part of its address.</summary>
    private static string QueueOf(Uri address) => Uri.UnescapeDataString(address.AbsolutePath.Split('/')[^1].Split(':')[^1]);

    private static byte[] Body(SubmissionReply reply) => JsonSerializer.SerializeToUtf8Bytes(reply, QueueMaaSJson.Relaxed);

    private byte[] Envelope(string requestId, Uri address, SubmissionReply reply) => JsonSerializer.SerializeToUtf8Bytes(
        new
        {
            messageId = Guid.CreateVersion7(time.GetUtcNow()),
            requestId,
            destinationAddress = address,
            messageType = new[] { ReplyType },
            message = reply,
            sentTime = time.GetUtcNow(),
            headers = new Dictionary<string, string>(),
        },
        QueueMaaSJson.Relaxed);
}
