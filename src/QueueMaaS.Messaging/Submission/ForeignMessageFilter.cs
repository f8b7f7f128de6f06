using MassTransit;
using MassTransit.Context;
using MassTransit.Events;
using MassTransit.Serialization;
using MassTransit.Transports;
using QueueMaaS.Contracts;

namespace QueueMaaS.Messaging.Submission;

/// <summary>Moves what no consumer took, such as an envelope with another message in it, to the unprocessable queue with its reason, and answers its producer.</summary>
internal sealed class ForeignMessageFilter(UnprocessableFilter unprocessable) : IFilter<ReceiveContext>
{
    public async Task Send(ReceiveContext context, IPipe<ReceiveContext> next)
    {
        if (context.TryGetPayload<UnprocessableFilter.Moved>(out _))
            return;
        if (!context.TryGetPayload<IErrorTransport>(out var errors))
        {
            await next.Send(context);
            return;
        }

        var problem = Problem.Create(ProblemCodes.InvalidRequest, "The message is in an envelope for something else than a job submission. Publish the submission itself as JSON (UTF-8) with the content type application/json.");
        var foreign = new ForeignMessage(context, new ProblemException(problem));
        UnprocessableFilter.Tell(foreign, problem);
        await unprocessable.KeepAsync(context, problem);
        await errors.Send(foreign);
        await ReplyAddress.TrySendAsync(context, new SubmissionReply(JobId: null, Accepted: false, Duplicate: false, problem));
    }

    public void Probe(ProbeContext context) => context.CreateFilterScope("foreign");

    /// <summary>The message as the error transport wants it.</summary>
    private sealed class ForeignMessage(ReceiveContext context, Exception exception) : ReceiveContextProxy(context), ExceptionReceiveContext
    {
        public Exception Exception { get; } = exception;

        public DateTime ExceptionTimestamp { get; } = DateTime.UtcNow;

        public ExceptionInfo ExceptionInfo { get; } = new FaultExceptionInfo(exception);

        public SendHeaders ExceptionHeaders { get; } = new DictionarySendHeaders();
    }
}
