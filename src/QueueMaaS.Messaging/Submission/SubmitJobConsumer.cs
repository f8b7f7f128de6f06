using System.Diagnostics;
using System.Text.Json;
using MassTransit;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs;
using QueueMaaS.Jobs.Execution;
using QueueMaaS.Jobs.Life;
using QueueMaaS.Jobs.Submission;

namespace QueueMaaS.Messaging.Submission;

/// <summary>
/// Accepts jobs from the bus. The message is acknowledged once the job's row is committed; a message that can never become a job is
/// moved to the unprocessable queue; while the database is away the message waits here, unacknowledged.
/// </summary>
public sealed partial class SubmitJobConsumer(JobSubmitter submitter, IOptions<JobOptions> options, TimeProvider time, ILogger<SubmitJobConsumer> logger) : IConsumer<SubmitJob>
{
    internal const string DefaultTenant = "default";
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(10);

    public async Task Consume(ConsumeContext<SubmitJob> context)
    {
        using var activity = JobTelemetry.StartSubmission(Header(context, "traceparent"));
        try
        {
            var submission = SubmissionReader.Read(Envelope.Unwrap(context.ReceiveContext.GetBody()), options.Value.MaxSubmissionBytes);
            // Without an id of its own, the message's id makes a redelivery the same job.
            if (submission.Id is null && MessageId(context) is { } messageId)
                submission = submission with { Id = messageId };
            // Below this span where spans are made, else below the producer's own.
            var outcome = await SubmitAsync(submission, Origin(context, activity?.Id), context.CancellationToken);
            activity?.SetTag("queuemaas.job_id", outcome.Job.Id);
            await ReplyAsync(context, new SubmissionReply(outcome.Job.Id, Accepted: true, outcome.Kind == AcceptKind.Duplicate, Problem: null));
        }
        catch (ProblemException exception) when (!CanWait(exception))
        {
            JobTelemetry.RecordUnprocessable(exception.Problem.Code);
            activity?.SetStatus(ActivityStatusCode.Error, exception.Problem.Message).SetTag("error.type", exception.Problem.Code);
            LogRefused(logger, exception.Problem.Code, exception.Problem.Message);
            await ReplyAsync(context, new SubmissionReply(JobId: null, Accepted: false, Duplicate: false, exception.Problem));
            throw;
        }
    }

    private async Task<AcceptOutcome> SubmitAsync(JobSubmission submission, SubmissionOrigin origin, CancellationToken cancellationToken)
    {
        for (var pause = TimeSpan.FromMilliseconds(200); ; pause = pause * 2 < LongestPause ? pause * 2 : LongestPause)
        {
            try
            {
                return await submitter.SubmitAsync(submission, origin, cancellationToken);
            }
            catch (Exception exception) when (exception is ProblemException problem ? CanWait(problem) : exception is not OperationCanceledException)
            {
                LogWaiting(logger, exception.Message, pause.TotalSeconds);
                await Task.Delay(pause, time, cancellationToken);
            }
        }
    }

    /// <summary>A part that is away is waited for. A tenant beyond its limits is refused: waiting here it would hold up the others; its message is kept in the unprocessable queue, to be replayed.</summary>
    private static bool CanWait(ProblemException exception) => exception.IsTransient && exception.Problem.Code is not (ProblemCodes.QuotaExceeded or ProblemCodes.RateLimited);

    private static SubmissionOrigin Origin(ConsumeContext context, string? span) => new(Header(context, BusNames.TenantHeader) is { Length: > 0 } tenant ? tenant : DefaultTenant)
    {
        TraceParent = span ?? Header(context, "traceparent"),
    };

    private static string? Header(ConsumeContext context, string name) => context.ReceiveContext.TransportHeaders.TryGetHeader(name, out var value)
        ? value switch { string text => text, byte[] bytes => System.Text.Encoding.UTF8.GetString(bytes), _ => null }
        : null;

    private static string? MessageId(ConsumeContext context) =>
        context.MessageId?.ToString() ?? (context.ReceiveContext.TransportHeaders.TryGetHeader("MessageId", out var id) && Identifiers.IsJobId(id as string) ? (string)id : null);

    private static async Task ReplyAsync(ConsumeContext context, SubmissionReply reply)
    {
        if (context.ReceiveContext.TransportHeaders.TryGetHeader("MT-Request-Id", out _) || context.RequestId is not null)
            await context.RespondAsync(reply);
        else
            await ReplyAddress.TrySendAsync(context, reply);
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "A submission on the bus was refused: {Code}: {Reason}")]
    private static partial void LogRefused(ILogger logger, string code, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "A submission waits for the database ({Reason}); next try in {Seconds} s")]
    private static partial void LogWaiting(ILogger logger, string reason, double seconds);
}
