using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Options;
using QueueMaaS.Api.Access;
using QueueMaaS.Api.Batches;
using QueueMaaS.Api.Deployment;
using QueueMaaS.Api.Evaluation;
using QueueMaaS.Api.Health;
using QueueMaaS.Api.Hosting;
using QueueMaaS.Api.Jobs;
using QueueMaaS.Api.Models;
using QueueMaaS.Api.OpenAi;
using QueueMaaS.Api.Training;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Access;
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
        services.AddSingleton<HealthJournal>();
        services.AddSingleton<IHealthCheckPublisher>(provider => provider.GetRequiredService<HealthJournal>());
        services.AddOptions<HealthCheckPublisherOptions>().Configure<IOptions<HealthOptions>>((publisher, health) =>
        {
            publisher.Delay = TimeSpan.FromSeconds(1);
            publisher.Period = health.Value.CheckEvery;
        });
        services.AddHealthChecks();
        services.AddSingleton<KeyRing>();
        services.AddSingleton<TokenReader>();
        services.AddSingleton<AuditBook>();
        services.AddCors();
        services.AddOptions<Microsoft.AspNetCore.Cors.Infrastructure.CorsOptions>().Configure<IOptions<ApiOptions>>(static (cors, api) => cors.AddDefaultPolicy(policy => policy
            .WithOrigins(api.Value.CorsOrigins).AllowAnyMethod().AllowAnyHeader().WithExposedHeaders("Location", "Retry-After", "Preference-Applied").SetPreflightMaxAge(TimeSpan.FromHours(1))));
        return services;
    }

    /// <summary>What the <c>api</c> role serves beside.</summary>
    public static IServiceCollection AddQueueMaaSApi(this IServiceCollection services)
    {
        services.AddOpenApi("v1", ApiDocument.Describe);
        services.AddHostedService<JobGauges>();
        services.AddSingleton<ModelRegistration>();
        services.AddSingleton<BatchViews>();
        services.AddSingleton<CallerSubmissions>();
        return services;
    }

    public static void MapQueueMaaSHealth(this WebApplication app)
    {
        app.UseMiddleware<ResponseHeaders>();
        app.UseExceptionHandler();
        app.UseStatusCodePages();
        // Before the gate: a browser asks without a key first whether it may send one.
        if (app.Services.GetRequiredService<IOptions<ApiOptions>>().Value.CorsOrigins.Length > 0)
            app.UseCors();
        app.UseMiddleware<AccessGate>();
        app.MapHealth();
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
}
