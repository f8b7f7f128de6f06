using System.Globalization;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;
using QueueMaaS.Contracts;
using QueueMaaS.OpenInference.Grpc;
using QueueMaaS.OpenInference.Http;
using QueueMaaS.OpenInference.Protocol;

namespace QueueMaaS.OpenInference;

/// <summary>The Open Inference Protocol over HTTP and gRPC, through the same batcher as the jobs.</summary>
public static class OpenInferenceServices
{
    /// <summary>For processes with the inference role: they compute where they are asked, without a queue between.</summary>
    public static IServiceCollection AddOpenInference(this IServiceCollection services)
    {
        services.TryAddSingleton<ServedModels>();
        services.AddGrpc(static grpc =>
        {
            grpc.EnableDetailedErrors = false;
            // Its catch-all route would answer for routes that are not its own.
            grpc.IgnoreUnknownServices = true;
            grpc.Interceptors.Add<GrpcProblems>();
        });
        services.AddSingleton<IConfigureOptions<global::Grpc.AspNetCore.Server.GrpcServiceOptions>, GrpcLimits>();
        return services;
    }

    /// <summary>Maps <c>/v2</c> and the gRPC service.</summary>
    public static void MapOpenInference(this WebApplication app)
    {
        app.MapProtocolRoutes();
        app.MapGrpcService<InferenceService>();
        // Methods of Triton's that are not served: its clients read a status in gRPC's own form only.
        app.MapPost($"/{Grpc.Messages.GRPCInferenceService.Descriptor.FullName}/{{method}}", NotServed).WithMetadata(new RequiresScopeAttribute(AccessScopes.Read, AccessScopes.Submit)).ExcludeFromDescription();
    }

    private static Task NotServed(HttpContext http)
    {
        http.Response.ContentType = "application/grpc";
        http.Response.Headers["grpc-status"] = ((int)global::Grpc.Core.StatusCode.Unimplemented).ToString(CultureInfo.InvariantCulture);
        http.Response.Headers["grpc-message"] = Uri.EscapeDataString($"'{http.Request.RouteValues["method"]}' is not served. Models are managed over HTTP, under /v1/models.");
        return Task.CompletedTask;
    }
}
