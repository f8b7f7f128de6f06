using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Diagnostics.HealthChecks;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Options;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;
using QueueMaaS.Api.Access;
using QueueMaaS.Api.Batches;
using QueueMaaS.Api.Deployment;
using QueueMaaS.Api.Evaluation;
using QueueMaaS.Api.Hosting;
using QueueMaaS.Api.Jobs;
using QueueMaaS.Api.Models;
using QueueMaaS.Api.OpenAi;
using QueueMaaS.Api.Training;
using QueueMaaS.Contracts;
using QueueMaaS.Inference.Batching;
using QueueMaaS.Jobs.Access;
using QueueMaaS.Jobs.Execution;
using Scalar.AspNetCore;

namespace QueueMaaS.Api;

public static class ApiServices
{
    /// <summary>What every role serves over HTTP: health and metrics.</summary>
    public static IServiceCollection AddQueueMaaSHealth(this IServiceCollection services)
    {
        // Routes and methods that do not exist get a code too, like every other error.
        services.AddProblemDetails(options => options.CustomizeProblemDetails = context => ProblemResponses.Complete(context.HttpContext, context.ProblemDetails));
        // A parameter that cannot be read is told like every other error.
        services.Configure<RouteHandlerOptions>(options => options.ThrowOnBadRequest = true);
        services.AddExceptionHandler<ProblemResponses>();
        services.ConfigureHttpJsonOptions(options => QueueMaaSJson.Apply(options.SerializerOptions));
        services.AddHealthChecks();
        services.AddSingleton<KeyRing>();
        services.AddOpenTelemetry().ConfigureResource(resource => resource.AddService("queuemaas")).WithMetrics(metrics => metrics
            .AddMeter(JobTelemetry.Name, InferenceMetrics.MeterName, "Microsoft.AspNetCore.Hosting", "System.Runtime")
            .AddView("queuemaas_batch_size", new ExplicitBucketHistogramConfiguration { Boundaries = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024] })
            .AddView("queuemaas_*_seconds", new ExplicitBucketHistogramConfiguration { Boundaries = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30, 120, 600, 3600] })
            .AddPrometheusExporter());
        return services;
    }

    /// <summary>What the <c>api</c> role serves beside.</summary>
    public static IServiceCollection AddQueueMaaSApi(this IServiceCollection services)
    {
        services.AddOpenApi("v1", ApiDocument.Describe);
        services.AddHostedService<JobGauges>();
        services.AddSingleton<ModelRegistration>();
        services.AddSingleton<BatchViews>();
        return services;
    }

    public static void MapQueueMaaSHealth(this WebApplication app)
    {
        app.UseExceptionHandler();
        app.UseStatusCodePages();
        app.UseMiddleware<AccessGate>();
        app.MapHealthChecks("/health/live", new HealthCheckOptions { Predicate = _ => false, ResponseWriter = WriteAsync }).WithTags("Operations").WithOpenAccess();
        app.MapHealthChecks("/health/ready", new HealthCheckOptions { ResponseWriter = WriteAsync }).WithTags("Operations").WithOpenAccess();
        var metrics = app.MapPrometheusScrapingEndpoint("/metrics");
        if (app.Services.GetRequiredService<IOptions<AccessOptions>>().Value.ProtectMetrics)
            metrics.WithScope(AccessScopes.Read);
        else
            metrics.WithOpenAccess();
    }

    public static void MapQueueMaaSApi(this WebApplication app)
    {
        app.MapJobs();
        app.MapGroups();
        app.MapSchedules();
        app.MapDeadLetters();
        app.MapQueues();
        app.MapWebhooks();
        app.MapTraining();
        app.MapSweeps();
        app.MapRecipes();
        app.MapCatalog();
        app.MapPromotions();
        app.MapRollouts();
        app.MapShadows();
        app.MapDrift();
        app.MapUploads();
        app.MapBatches();
        app.MapEvaluations();
        app.MapOpenAi();
        app.MapKeys();
        app.MapOpenApi("/openapi/{documentName}.json").WithOpenAccess();
        app.MapScalarApiReference("/docs", options => options.WithTitle("QueueMaaS API")
            // The page asks nothing of the world outside, and offers nothing that this service does not do.
            .DisableDefaultFonts().DisableTelemetry().DisableAgent().DisableMcp().HideDeveloperTools()).WithOpenAccess();
        app.MapGet("/", () => Results.Redirect("/docs")).ExcludeFromDescription().WithOpenAccess();
    }

    private static Task WriteAsync(HttpContext http, HealthReport report) => http.Response.WriteAsJsonAsync(
        new
        {
            status = report.Status.ToString().ToLowerInvariant(),
            checks = report.Entries.ToDictionary(entry => entry.Key, entry => new { status = entry.Value.Status.ToString().ToLowerInvariant(), entry.Value.Description }),
        },
        QueueMaaSJson.Relaxed);
}
