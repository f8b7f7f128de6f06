using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Diagnostics;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Mvc;
using Microsoft.Extensions.Logging;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Life;

namespace QueueMaaS.Api.Hosting;

/// <summary>Answers every error as an RFC 9457 problem with our stable <c>code</c>; causes go to the log, never to the client.</summary>
internal sealed partial class ProblemResponses(IProblemDetailsService problems, ILogger<ProblemResponses> logger) : IExceptionHandler
{
    public async ValueTask<bool> TryHandleAsync(HttpContext httpContext, Exception exception, CancellationToken cancellationToken)
    {
        if (exception is OperationCanceledException && httpContext.RequestAborted.IsCancellationRequested)
            return true;
        var problem = exception switch
        {
            ProblemException known => known.Problem,
            BadHttpRequestException { StatusCode: StatusCodes.Status413PayloadTooLarge } => new Problem(ProblemCodes.TooLarge, "The body is larger than this route accepts."),
            BadHttpRequestException bad => Unreadable(bad),
            _ when FullDisk.IsCauseOf(exception) => new Problem(ProblemCodes.StorageFull, "The service's storage is full. Nothing was accepted; its operator has to make room. Try again later."),
            _ when IsUnavailable(exception) => new Problem(ProblemCodes.Unavailable, "The database cannot be reached at the moment. Nothing was accepted; try again in a few seconds."),
            _ => new Problem(ProblemCodes.InternalError, $"Something went wrong on our side. The log has the cause under trace `{httpContext.TraceIdentifier}`."),
        };
        if (problem.Code is ProblemCodes.InternalError or ProblemCodes.Unavailable or ProblemCodes.StorageFull or ProblemCodes.ArtifactStorageUnavailable)
            LogBroke(logger, exception, httpContext.Request.Method, httpContext.Request.Path);
        var status = ProblemStatus.Of(problem.Code);
        httpContext.Response.StatusCode = status;
        if (status is StatusCodes.Status503ServiceUnavailable or StatusCodes.Status429TooManyRequests)
            httpContext.Response.Headers.RetryAfter = problem.Details?.TryGetValue("retryAfterSeconds", out var seconds) == true ? seconds.GetRawText() : "5";
        if (status == StatusCodes.Status401Unauthorized)
            httpContext.Response.Headers.WWWAuthenticate = "Bearer";
        await problems.WriteAsync(new ProblemDetailsContext { HttpContext = httpContext, ProblemDetails = ToDetails(problem, status) });
        return true;
    }

    /// <summary>Gives what the framework refused, before any of our code ran, a code and a sentence too.</summary>
    public static void Complete(HttpContext http, ProblemDetails details)
    {
        if (details.Extensions.ContainsKey("code"))
            return;
        var (code, sentence) = details.Status switch
        {
            StatusCodes.Status404NotFound => (ProblemCodes.NotFound, $"There is no route `{http.Request.Path}`. The API's page at /docs lists them."),
            StatusCodes.Status405MethodNotAllowed => (ProblemCodes.MethodNotAllowed, $"`{http.Request.Path}` does not take {http.Request.Method}. The `Allow` header lists what it takes."),
            StatusCodes.Status415UnsupportedMediaType => (ProblemCodes.UnsupportedMediaType, $"`{http.Request.Path}` does not take `{http.Request.ContentType ?? "a body without a content type"}`. Send JSON with the header `Content-Type: application/json`, or what the API's page at /docs says.{(IsForm(http) ? " curl gives this type to `-d` and `--data-binary` by itself; a file is best sent with `curl -T FILE`." : "")}"),
            >= 500 => (ProblemCodes.InternalError, $"Something went wrong on our side. The log has the cause under trace `{http.TraceIdentifier}`."),
            _ => (ProblemCodes.InvalidRequest, "The request cannot be read. The API's page at /docs says what this route takes."),
        };
        details.Type = $"urn:queuemaas:problem:{code}";
        details.Detail ??= sentence;
        details.Extensions["code"] = code;
    }

    private static bool IsForm(HttpContext http) => http.Request.ContentType?.StartsWith("application/x-www-form-urlencoded", StringComparison.OrdinalIgnoreCase) == true;

    /// <summary>The framework names its own types where a parameter of the address cannot be read.</summary>
    private static Problem Unreadable(BadHttpRequestException bad) => Parameter().Match(bad.Message) is { Success: true } match
        ? Problem.Create(ProblemCodes.InvalidValue, $"`{match.Groups["name"].Value}` cannot be `{match.Groups["value"].Value}`: {Wanted(match.Groups["type"].Value)}.", ("path", match.Groups["name"].Value))
        : new Problem(ProblemCodes.InvalidRequest, bad.Message);

    private static string Wanted(string type) => type switch
    {
        _ when type.Contains("Date", StringComparison.Ordinal) => "it must be a time such as 2026-03-01T12:00:00Z",
        _ when type.Contains("bool", StringComparison.OrdinalIgnoreCase) => "it must be true or false",
        _ when type.Contains("double", StringComparison.OrdinalIgnoreCase) => "it must be a number",
        _ when type.Contains("int", StringComparison.OrdinalIgnoreCase) || type.Contains("long", StringComparison.OrdinalIgnoreCase) => "it must be a whole number",
        _ => "it has another form",
    };

    [GeneratedRegex("""^Failed to bind parameter "(?<type>\S+) (?<name>\w+)" from "(?<value>.*)"\.?$""", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Parameter();

    private static ProblemDetails ToDetails(Problem problem, int status)
    {
        var details = new ProblemDetails
        {
            Type = $"urn:queuemaas:problem:{problem.Code}",
            Title = char.ToUpperInvariant(problem.Code[0]) + problem.Code[1..].Replace('_', ' '),
            Status = status,
            Detail = problem.Message,
        };
        details.Extensions["code"] = problem.Code;
        if (problem.Details is not null)
            details.Extensions["details"] = problem.Details;
        return details;
    }

    private static bool IsUnavailable(Exception exception) =>
        exception is System.Data.Common.DbException or TimeoutException or System.Net.Sockets.SocketException
        || (exception.InnerException is { } inner && IsUnavailable(inner));

    [LoggerMessage(Level = LogLevel.Error, Message = "{Method} {Path} failed")]
    private static partial void LogBroke(ILogger logger, Exception exception, string method, PathString path);
}
