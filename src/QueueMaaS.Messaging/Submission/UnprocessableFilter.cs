using MassTransit;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Submission;

namespace QueueMaaS.Messaging.Submission;

/// <summary>Says on an unprocessable message why it is one, in place of MassTransit's exception details, which would show our stack trace to whoever reads the queue.</summary>
internal sealed class UnprocessableFilter : IFilter<ExceptionReceiveContext>
{
    public async Task Send(ExceptionReceiveContext context, IPipe<ExceptionReceiveContext> next)
    {
        context.GetOrAddPayload(() => new Moved());
        var refused = context.Exception as ProblemException ?? context.Exception.GetBaseException() as ProblemException;
        var problem = refused?.Problem ?? WhatIsWrong(context.GetBody());
        Tell(context, problem);
        await next.Send(context);
        // The consumer has answered what it refused itself; what never came to it is answered here.
        if (refused is null)
            await ReplyAddress.TrySendAsync(context, new SubmissionReply(JobId: null, Accepted: false, Duplicate: false, problem));
    }

    public void Probe(ProbeContext context) => context.CreateFilterScope("unprocessable");

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
