using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using QueueMaaS.Contracts;

namespace QueueMaaS.OpenInference.Http;

/// <summary>Answers errors as the protocol's clients read them: an object with <c>error</c>; beside it our stable <c>code</c>.</summary>
internal sealed partial class ProtocolErrors(ILogger<ProtocolErrors> logger) : IEndpointFilter
{
    public async ValueTask<object?> InvokeAsync(EndpointFilterInvocationContext context, EndpointFilterDelegate next)
    {
        var http = context.HttpContext;
        try
        {
            return await next(context);
        }
        catch (OperationCanceledException) when (http.RequestAborted.IsCancellationRequested)
        {
            // Nobody is there any more to be answered.
            return Results.Empty;
        }
        catch (ProblemException exception)
        {
            return Answer(http, exception.Problem);
        }
        catch (Exception exception) when (exception is BadHttpRequestException or EndOfStreamException)
        {
            var tooLarge = exception is BadHttpRequestException { StatusCode: StatusCodes.Status413PayloadTooLarge };
            return Answer(http, tooLarge
                ? new Problem(ProblemCodes.TooLarge, "The request is larger than the configured limit (`OpenInference:MaxRequestBytes`).")
                : new Problem(ProblemCodes.InvalidRequest, "The body ended before its announced length."));
        }
        catch (Exception exception)
        {
            LogBroke(logger, exception, http.Request.Path);
            return Answer(http, new Problem(ProblemCodes.InternalError, $"Something went wrong on our side. The log has the cause under trace `{http.TraceIdentifier}`."));
        }
    }

    private static IResult Answer(HttpContext http, Problem problem)
    {
        // Too late is nobody's mistake: gateways try such a request again elsewhere.
        var status = problem.Code == ProblemCodes.DeadlineExceeded ? StatusCodes.Status503ServiceUnavailable : ProblemStatus.Of(problem.Code);
        if (status is StatusCodes.Status429TooManyRequests or StatusCodes.Status503ServiceUnavailable)
            http.Response.Headers.RetryAfter = problem.Details?.TryGetValue("retryAfterSeconds", out var seconds) == true ? seconds.GetRawText() : "1";
        // The protocol knows 400 for everything that is wrong with a request.
        return Results.Json(new ProtocolError(problem.Message, problem.Code, problem.Details), QueueMaaSJson.Relaxed, statusCode: status == StatusCodes.Status422UnprocessableEntity ? StatusCodes.Status400BadRequest : status);
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "{Path} failed")]
    private static partial void LogBroke(ILogger logger, Exception exception, string path);
}

/// <summary>An error of the Open Inference Protocol.</summary>
/// <param name="Error">What is wrong, where, and what to do about it.</param>
/// <param name="Code">A stable word for programs.</param>
/// <param name="Details">Facts for programs.</param>
internal sealed record ProtocolError(string Error, string Code, IReadOnlyDictionary<string, System.Text.Json.JsonElement>? Details);
