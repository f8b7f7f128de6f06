using System.Collections;
using System.Text;
using Microsoft.Extensions.Logging;
using QueueMaaS.Contracts;
using QueueMaaS.Messaging.Submission;
using RabbitMQ.Client;
using RabbitMQ.Client.Exceptions;

namespace QueueMaaS.Messaging.RabbitMq;

/// <summary>The queue of messages that can never become jobs: each as it came, with its own headers, and with the reason in two more.</summary>
internal sealed partial class UnprocessableQueue(RabbitConnection connection, RabbitChannel channel, TimeProvider time, ILogger<UnprocessableQueue> logger)
{
    // How long is waited before what the broker refused is sent again.
    private static readonly TimeSpan[] Again = [TimeSpan.FromMilliseconds(100), TimeSpan.FromMilliseconds(300), TimeSpan.FromSeconds(1)];

    // All headers of a message go in one frame, and a broker that gets a larger one than was agreed on (128 KiB by default) ends the connection.
    private const int MostHeaderBytes = 64 * 1024;
    private const int MostReasonLength = 4096;

    /// <summary>Completes when the broker has the message, or has refused it and it is kept in the database.</summary>
    /// <param name="message">The message.</param>
    /// <param name="came">The properties it came with.</param>
    /// <param name="problem">Why it can never become a job.</param>
    /// <param name="isKept">Whether the database has it as well.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public async Task KeepAsync(SubmissionMessage message, IReadOnlyBasicProperties came, Problem problem, bool isKept, CancellationToken cancellationToken)
    {
        var properties = new BasicProperties
        {
            ContentType = came.ContentType,
            ContentEncoding = came.ContentEncoding,
            MessageId = came.MessageId,
            CorrelationId = came.CorrelationId,
            ReplyTo = came.ReplyTo,
            DeliveryMode = DeliveryModes.Persistent,
            Headers = Headers(came.Headers, problem),
        };
        try
        {
            await SendAsync(message, properties, cancellationToken);
        }
        catch (PublishException exception) when (isKept)
        {
            // Full, by a limit that somebody set, for one. The message is in the list of dead letters, so it need not come again.
            LogRefused(logger, exception.Message);
        }
    }

    private async Task SendAsync(SubmissionMessage message, BasicProperties properties, CancellationToken cancellationToken)
    {
        for (var tries = 0; ; tries++)
        {
            try
            {
                await channel.PublishAsync(open => open.BasicPublishAsync("", BusNames.UnprocessableQueue, mandatory: true, properties, message.Body, cancellationToken).AsTask(), cancellationToken);
                return;
            }
            catch (PublishException exception) when (exception.IsReturn && tries < Again.Length)
            {
                // The first one, or somebody deleted the queue.
                await connection.DeclareKeepingQueueAsync(BusNames.UnprocessableQueue, cancellationToken);
            }
            catch (PublishException) when (tries < Again.Length)
            {
                // RabbitMQ also rejects what comes for a quorum queue that it has just made, before the queue has its leader.
                await Task.Delay(Again[tries], time, cancellationToken);
            }
        }
    }

    /// <summary>The message's own, as far as they go in a frame, and the reason.</summary>
    private static Dictionary<string, object?> Headers(IDictionary<string, object?>? came, Problem problem)
    {
        var headers = new Dictionary<string, object?>(StringComparer.Ordinal);
        var left = MostHeaderBytes;
        var leftOut = 0;
        foreach (var (name, value) in came ?? new Dictionary<string, object?>())
        {
            var size = Encoding.UTF8.GetByteCount(name) + Size(value);
            if (size > left)
            {
                leftOut++;
                continue;
            }

            left -= size;
            headers[name] = value;
        }

        if (leftOut > 0)
            headers[BusNames.HeadersLeftOutHeader] = leftOut;
        headers[BusNames.CodeHeader] = problem.Code;
        // A header is for people.
        headers[BusNames.ReasonHeader] = problem.Message.Length <= MostReasonLength ? problem.Message : problem.Message[..MostReasonLength];
        return headers;
    }

    /// <summary>About how many bytes a header's value takes in a frame.</summary>
    private static int Size(object? value) => 8 + value switch
    {
        byte[] bytes => bytes.Length,
        string text => Encoding.UTF8.GetByteCount(text),
        IDictionary<string, object?> table => table.Sum(static entry => Encoding.UTF8.GetByteCount(entry.Key) + Size(entry.Value)),
        IEnumerable list => list.Cast<object?>().Sum(Size),
        _ => 8,
    };

    [LoggerMessage(Level = LogLevel.Warning, Message = "RabbitMQ refuses an unprocessable message ({Reason}); it is in the list of dead letters only")]
    private static partial void LogRefused(ILogger logger, string reason);
}
