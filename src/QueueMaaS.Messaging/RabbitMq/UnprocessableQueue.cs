using System.Text;
using QueueMaaS.Contracts;
using QueueMaaS.Messaging.Submission;
using RabbitMQ.Client;
using RabbitMQ.Client.Exceptions;

namespace QueueMaaS.Messaging.RabbitMq;

/// <summary>The queue of messages that can never become jobs: each as it came, with its own headers, and with the reason in two more.</summary>
internal sealed class UnprocessableQueue(RabbitConnection connection, RabbitChannel channel)
{
    /// <summary>Completes when the broker has the message.</summary>
    public async Task KeepAsync(SubmissionMessage message, IReadOnlyBasicProperties came, Problem problem, CancellationToken cancellationToken)
    {
        var headers = new Dictionary<string, object?>(came.Headers ?? new Dictionary<string, object?>(), StringComparer.Ordinal)
        {
            [BusNames.CodeHeader] = problem.Code,
            // A header is for people; a reason of many kilobytes, as for a hostile message, must not make a frame that the broker refuses.
            [BusNames.ReasonHeader] = problem.Message.Length <= 4096 ? problem.Message : problem.Message[..4096],
        };
        var properties = new BasicProperties
        {
            ContentType = came.ContentType,
            ContentEncoding = came.ContentEncoding,
            MessageId = came.MessageId,
            CorrelationId = came.CorrelationId,
            ReplyTo = came.ReplyTo,
            DeliveryMode = DeliveryModes.Persistent,
            Headers = headers,
        };
        try
        {
            await SendAsync();
        }
        catch (PublishException exception) when (exception.IsReturn)
        {
            // The first one, or somebody deleted the queue.
            await connection.DeclareQueueAsync(BusNames.UnprocessableQueue, cancellationToken);
            await SendAsync();
        }

        Task SendAsync() => channel.PublishAsync(open => open.BasicPublishAsync("", BusNames.UnprocessableQueue, mandatory: true, properties, message.Body, cancellationToken).AsTask(), cancellationToken);
    }
}
