using MassTransit;
using Microsoft.Extensions.Logging;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.DeadLetters;
using QueueMaaS.Jobs.Submission;

namespace QueueMaaS.Messaging.Submission;

/// <summary>Says on an unprocessable message why it is one, in place of MassTransit's exception details, which would show our stack trace to whoever reads the queue.</summary>
internal sealed partial class UnprocessableFilter(IUnprocessableStore store, TimeProvider time, ILogger<UnprocessableFilter> logger) : IFilter<ExceptionReceiveContext>
{
    public async Task Send(ExceptionReceiveContext context, IPipe<ExceptionReceiveContext> next)
    {
        context.GetOrAddPayload(() => new Moved());
        var refused = context.Exception as ProblemException ?? context.Exception.GetBaseException() as ProblemException;
        var problem = refused?.Problem ?? WhatIsWrong(context.GetBody());
        Tell(context, problem);
        await KeepAsync(context, problem);
        await next.Send(context);
        // The consumer has answered what it refused itself; what never came to it is answered here.
        if (refused is null)
            await ReplyAddress.TrySendAsync(context, new SubmissionReply(JobId: null, Accepted: false, Duplicate: false, problem));
    }

    public void Probe(ProbeContext context) => context.CreateFilterScope("unprocessable");

    /// <summary>Keeps the message in the table too, where it can be looked at and replayed. Without the table it is in the queue all the same.</summary>
    internal async Task KeepAsync(ReceiveContext context, Problem problem)
    {
        try
        {
            var headers = new Dictionary<string, string>(StringComparer.Ordinal);
            // The transport may give one twice: as the message's property and as its header.
            foreach (var header in context.TransportHeaders.GetAll().Where(header => header.Value is not null))
                headers.TryAdd(header.Key, Text(header.Value));
            var tenant = headers.GetValueOrDefault(BusNames.TenantHeader) is { Length: > 0 } named ? named : SubmitJobConsumer.DefaultTenant;
            var message = new UnprocessableMessage($"um_{Ulid.NewUlid(time.GetUtcNow())}", tenant, time.GetUtcNow(), problem.Code, problem.Message, context.GetBody())
            {
                ContentType = context.ContentType?.MediaType,
                Headers = headers,
            };
            await store.AddAsync(message, context.CancellationToken);
        }
        catch (Exception exception) when (!context.CancellationToken.IsCancellationRequested)
        {
            LogNotKept(logger, exception.Message);
        }
    }

    private static string Text(object value) => value is byte[] bytes ? System.Text.Encoding.UTF8.GetString(bytes) : value.ToString() ?? "";

    [LoggerMessage(Level = LogLevel.Warning, Message = "An unprocessable message is in the queue only, not in the table ({Reason})")]
    private static partial void LogNotKept(ILogger logger, string reason);

    internal static void Tell(ExceptionReceiveContext context, Problem problem)
    {
        var headers = context.ExceptionHeaders;
        foreach (var header in headers.Select(header => header.Key).ToArray())
            headers.Set(header, null);
        headers.Set(BusNames.CodeHeader, problem.Code);
        headers.Set(BusNames.ReasonHeader, problem.Message);
    }

    private static Problem WhatIsWrong(byte[] body)
    {
        try
        {
            SubmissionReader.Read(body, int.MaxValue);
        }
        catch (ProblemException exception)
        {
            return exception.Problem;
        }

        return Problem.Create(ProblemCodes.InvalidRequest, "The message cannot be read as a job submission. Publish one as JSON (UTF-8) with the content type application/json.");
    }

    /// <summary>Marks a message that lies in the unprocessable queue already.</summary>
    internal sealed class Moved;
}
