using Microsoft.AspNetCore.Http;

namespace QueueMaaS.Api.Hosting;

/// <summary>
/// What browsers are told with every answer: guess no content types, show us in nobody's frame, send nobody our addresses, and keep to HTTPS where we were reached by it.
/// Artifacts are what users have uploaded: opened in a browser, they run in a sandbox without our origin.
/// </summary>
internal sealed class ResponseHeaders(RequestDelegate next)
{
    public Task InvokeAsync(HttpContext http)
    {
        var headers = http.Response.Headers;
        headers.XContentTypeOptions = "nosniff";
        headers.XFrameOptions = "DENY";
        headers["Referrer-Policy"] = "no-referrer";
        headers.ContentSecurityPolicy = http.Request.Path.StartsWithSegments("/v1/artifacts", StringComparison.OrdinalIgnoreCase) ? "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:" : "frame-ancestors 'none'; object-src 'none'; base-uri 'none'";
        if (http.Request.IsHttps)
            headers.StrictTransportSecurity = "max-age=31536000";
        return next(http);
    }
}
