using System.Diagnostics;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs;
using QueueMaaS.Jobs.DeadLetters;
using QueueMaaS.Jobs.Execution;
using QueueMaaS.Jobs.Life;
using QueueMaaS.Jobs.Submission;

namespace QueueMaaS.Messaging.Submission;

/// <summary>
/// Makes jobs of messages, from whichever bus they come. It answers once the job's row is committed, or once the message is known to be none that can become a job
/// and is kept in the table as unprocessable; while the database is away it waits, and the message with it.
/// </summary>
internal sealed partial class SubmissionIntake(JobSubmitter submitter, IUnprocessableStore unprocessable, IOptions<JobOptions> options, TimeProvider time, ILogger<SubmissionIntake> logger)
{
    private const string DefaultTenant = "default";
    private const int MostTraceParent = 128;
    private const int MostUnknown = 5;
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(10);

    /// <summary>What the producer is told. A refused message's problem stands in the reply.</summary>
    /// <param name="message">The message.</param>
    /// <param name="cancellationToken">Gives up waiting for a database that is away; the message was not taken then.</param>
    /// <returns>The reply, and whether what became of the message is in the database: a job, or a refused message.</returns>
    public async Task<(SubmissionReply Reply, bool IsKept)> TakeAsync(SubmissionMessage message, CancellationToken cancellationToken)
    {
        // Another's trace context may be anything; W3C's is 55 characters of ASCII.
        var parent = message.Header("traceparent") is { Length: <= MostTraceParent } given && given.All(static c => char.IsAsciiLetterOrDigit(c) || c == '-') ? given : null;
        using var activity = JobTelemetry.StartSubmission(parent);
        try
        {
            if (!Identifiers.IsName(Tenant(message)))
                throw new ProblemException(ProblemCodes.InvalidValue, $"The header `{BusNames.TenantHeader}` must be a name: 1 to 64 of lower-case letters, digits and - _ . , beginning with a letter or digit. The message is kept as tenant `{DefaultTenant}`'s.", ("path", BusNames.TenantHeader));
            var submission = SubmissionReader.Read(message.Submission.Span, options.Value.MaxSubmissionBytes);
            // Without an id of its own, the message's id makes a repeat the same job: as the job's id, or where it cannot be one, as an idempotency key.
            var key = submission.Id is null && message.MessageId is { Length: > 0 } messageId ? messageId : null;
            if (key is not null && Identifiers.IsJobId(key))
                (submission, key) = (submission with { Id = key }, null);
            // Below this span where spans are made, else below the producer's own.
            var outcome = await SubmitAsync(submission, new SubmissionOrigin(Tenant(message)) { IdempotencyKey = key, TraceParent = activity?.Id ?? parent, CanWait = true }, cancellationToken);
            activity?.SetTag("queuemaas.job_id", outcome.Job.Id);
            return (new SubmissionReply(outcome.Job.Id, Accepted: true, outcome.Kind == AcceptKind.Duplicate, Problem: null), IsKept: true);
        }
        catch (ProblemException exception) when (!CanWait(exception))
        {
            var problem = exception.Problem;
            JobTelemetry.RecordUnprocessable(problem.Code);
            activity?.SetStatus(ActivityStatusCode.Error, problem.Message).SetTag("error.type", problem.Code);
            LogRefused(logger, problem.Code, problem.Message);
            var isKept = await KeepAsync(message, problem);
            return (new SubmissionReply(JobId: null, Accepted: false, Duplicate: false, problem), isKept);
        }
    }

    private async Task<AcceptOutcome> SubmitAsync(JobSubmission submission, SubmissionOrigin origin, CancellationToken cancellationToken)
    {
        var unknown = 0;
        for (var pause = TimeSpan.FromMilliseconds(200); ; pause = pause * 2 < LongestPause ? pause * 2 : LongestPause)
        {
            try
            {
                // What has begun is not cut off: its message would come again, and without an id of its own be a second job.
                return await submitter.SubmitAsync(submission, origin, CancellationToken.None);
            }
            catch (Exception exception) when (exception is ProblemException problem ? CanWait(problem) : exception is not OperationCanceledException)
            {
                // One that breaks us whenever it is tried must not hold up the others for ever.
                if (exception is not ProblemException && !IsOutside(exception) && ++unknown == MostUnknown)
                {
                    LogBroke(logger, exception);
                    throw new ProblemException(Problem.Create(ProblemCodes.InternalError, $"Something went wrong on our side with this submission, {MostUnknown} times. The service's log has the cause; replay the message once that is mended."), exception);
                }

                LogWaiting(logger, exception.Message, pause.TotalSeconds);
                await Task.Delay(pause, time, cancellationToken);
            }
        }
    }

    /// <summary>Keeps the message where it can be looked at and replayed. Without the table it is in the broker's queue all the same.</summary>
    private async Task<bool> KeepAsync(SubmissionMessage message, Problem problem)
    {
        try
        {
            var kept = new UnprocessableMessage($"um_{Ulid.NewUlid(time.GetUtcNow())}", Identifiers.IsName(Tenant(message)) ? Tenant(message) : DefaultTenant, time.GetUtcNow(), problem.Code, problem.Message, message.Body.ToArray())
            {
                ContentType = message.ContentType,
                Headers = message.Headers,
            };
            // What has begun is not cut off: its message would come again, and be there twice.
            await unprocessable.AddAsync(kept, CancellationToken.None);
            return true;
        }
        catch (Exception exception)
        {
            LogNotKept(logger, exception.Message);
            return false;
        }
    }

    /// <summary>Whether something that this process needs is away, or the process is ending: not the submission's fault.</summary>
    private static bool IsOutside(Exception exception) =>
        exception is System.Data.Common.DbException or TimeoutException or IOException or System.Net.Sockets.SocketException or HttpRequestException or ObjectDisposedException or OutOfMemoryException
        || (exception.InnerException is { } inner && IsOutside(inner));

    /// <summary>A part that is away is waited for. A tenant beyond its limits is refused: waiting here it would hold up the others; its message is kept as unprocessable, to be replayed.</summary>
    private static bool CanWait(ProblemException exception) => exception.IsTransient && exception.Problem.Code is not (ProblemCodes.QuotaExceeded or ProblemCodes.RateLimited);

    private static string Tenant(SubmissionMessage message) => message.Header(BusNames.TenantHeader) is { Length: > 0 } tenant ? tenant : DefaultTenant;

    [LoggerMessage(Level = LogLevel.Warning, Message = "A submission on the bus was refused: {Code}: {Reason}")]
    private static partial void LogRefused(ILogger logger, string code, string reason);

    [LoggerMessage(Level = LogLevel.Error, Message = "A submission on the bus cannot be taken; it is put aside")]
    private static partial void LogBroke(ILogger logger, Exception exception);

    [LoggerMessage(Level = LogLevel.Warning, Message = "A submission waits for the database ({Reason}); next try in {Seconds} s")]
    private static partial void LogWaiting(ILogger logger, string reason, double seconds);

    [LoggerMessage(Level = LogLevel.Warning, Message = "An unprocessable message is in the queue only, not in the table ({Reason})")]
    private static partial void LogNotKept(ILogger logger, string reason);
}
