using MassTransit;
using QueueMaaS.Contracts;

namespace QueueMaaS.Messaging.Submission;

/// <summary>Takes jobs from the bus that lives in this process; RabbitMQ's come by <see cref="RabbitMq.SubmissionQueue"/>. Both leave the rest to <see cref="SubmissionIntake"/>.</summary>
internal sealed class SubmitJobConsumer(SubmissionIntake intake) : IConsumer<SubmitJob>
{
    public async Task Consume(ConsumeContext<SubmitJob> context)
    {
        var headers = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var header in context.ReceiveContext.TransportHeaders.GetAll())
        {
            if (header.Value is string text)
                headers.TryAdd(header.Key, text);
        }

        var message = SubmissionMessage.From(context.ReceiveContext.GetBody(), headers, context.MessageId?.ToString(), context.ReceiveContext.ContentType?.MediaType);
        var (reply, _) = await intake.TakeAsync(message, context.CancellationToken);
        if (context.RequestId is not null)
            await context.RespondAsync(reply);
    }
}
