using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Diagnostics.HealthChecks;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using QueueMaaS.Api.Access;
using QueueMaaS.Contracts;

namespace QueueMaaS.Api.Health;

/// <summary><c>/health/live</c>: the process answers. <c>/health/ready</c>: which part is ill, since when, and what follows; 503 where no work can be taken.</summary>
internal static class HealthRoutes
{
    public static void MapHealth(this WebApplication app)
    {
        app.MapHealthChecks("/health/live", new HealthCheckOptions { Predicate = _ => false, ResponseWriter = WriteAsync }).WithTags("Operations").WithOpenAccess();
        app.MapHealthChecks("/health/ready", new HealthCheckOptions { ResponseWriter = WriteAsync }).WithTags("Operations").WithOpenAccess();
    }

    private static Task WriteAsync(HttpContext http, HealthReport report) => http.Response.WriteAsJsonAsync(
        new
        {
            status = HealthJournal.Word(report.Status),
            checks = http.RequestServices.GetRequiredService<HealthJournal>().Observe(report).ToDictionary(
                static part => part.Name,
                static part => new { status = HealthJournal.Word(part.Status), part.Since, part.Description, Data = Facts(part) }),
        },
        QueueMaaSJson.Relaxed);

    /// <summary>Plain facts only: MassTransit's check brings the state of each of its queues.</summary>
    private static Dictionary<string, object>? Facts(PartHealth part)
    {
        var facts = part.Data.Where(static fact => fact.Value is string or double).ToDictionary();
        return facts.Count == 0 ? null : facts;
    }
}
