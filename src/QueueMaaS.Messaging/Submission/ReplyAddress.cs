using System.Text.Json;
using MassTransit;
using MassTransit.RabbitMqTransport;
using QueueMaaS.Contracts;
using RabbitMQ.Client;

namespace QueueMaaS.Messaging.Submission;

/// <summary>Answers producers that know nothing of MassTransit: a plain AMQP message to the queue in <c>reply_to</c>, with their <c>correlation_id</c>.</summary>
internal static class ReplyAddress
{
    /// <summary>Sends the reply where one is asked for. A producer that has gone away is not waited for: its reply queue is gone with it, and the broker drops the message.</summary>
    public static async Task TrySendAsync(PipeContext context, SubmissionReply reply)
    {
        if (!context.TryGetPayload(out RabbitMqBasicConsumeContext? rabbit) || string.IsNullOrEmpty(rabbit.Properties.ReplyTo) || !context.TryGetPayload(out ChannelContext? channel))
            return;
        var properties = new BasicProperties { ContentType = "application/json", CorrelationId = rabbit.Properties.CorrelationId };
        var body = JsonSerializer.SerializeToUtf8Bytes(reply, QueueMaaSJson.Relaxed);
        await channel.BasicPublishAsync("", rabbit.Properties.ReplyTo, mandatory: false, properties, body, awaitAck: false, context.CancellationToken);
    }
}
