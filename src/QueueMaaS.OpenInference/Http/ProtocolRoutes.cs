using System.Globalization;
using System.Reflection;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Options;
using QueueMaaS.Contracts;
using QueueMaaS.Inference;
using QueueMaaS.OpenInference.Protocol;

namespace QueueMaaS.OpenInference.Http;

/// <summary>The routes under <c>/v2</c>.</summary>
internal static class ProtocolRoutes
{
    public static readonly string Version = typeof(ProtocolRoutes).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion.Split('+')[0] ?? "0";

    public static void MapProtocolRoutes(this IEndpointRouteBuilder routes)
    {
        var v2 = routes.MapGroup("/v2").WithTags("Open Inference Protocol").AddEndpointFilter<ProtocolErrors>().WithMetadata(new RequiresScopeAttribute(AccessScopes.Read, AccessScopes.Submit));
        v2.MapGet("", () => Json(new ServerMetadata("queuemaas", Version, ["binary_tensor_data", "classification", "model_repository", "statistics"]))).WithSummary("What this server is");
        v2.MapGet("health/live", () => Results.Ok()).WithMetadata(new OpenToAllAttribute()).WithSummary("Whether the process runs");
        v2.MapGet("health/ready", ReadyAsync).WithMetadata(new OpenToAllAttribute()).WithSummary("Whether requests can be served");
        v2.MapPost("repository/index", IndexAsync).WithSummary("List models");
        v2.MapGet("models/stats", (HttpContext http, ServedModels models) => ReadStatisticsAsync(null, null, models, http)).WithSummary("Statistics of all models");
        v2.Map("{**path}", NotServed).ExcludeFromDescription();
        foreach (var model in (string[])["models/{name}", "models/{name}/versions/{version}"])
        {
            v2.MapGet(model, MetadataAsync).WithSummary("A model's inputs and outputs");
            v2.MapGet($"{model}/ready", ModelReadyAsync).WithSummary("Whether a model can be served");
            v2.MapGet($"{model}/stats", StatisticsAsync).WithSummary("A model's statistics");
            v2.MapGet($"{model}/config", ConfigAsync).WithSummary("A model's configuration, as far as Triton's clients look at it");
            v2.MapPost($"{model}/infer", InferAsync).Accepts<Stream>("application/json", "application/octet-stream", "*/*").WithMetadata(new RequiresScopeAttribute(AccessScopes.Submit)).WithSummary("Compute, in a batch with others").WithDescription("JSON, or JSON and binary tensors behind it with the header `Inference-Header-Content-Length`. See docs/open-inference.md.");
        }
    }

    /// <summary>Clients of the protocol read errors in its own form only, also for what is not there.</summary>
    private static IResult NotServed(HttpContext http) => throw new ProblemException(
        ProblemCodes.NotFound, $"`{http.Request.Method} {http.Request.Path}` is not served. There are server and model metadata, health, statistics, configuration, the repository's index and `POST /v2/models/{{name}}/infer`; models are managed under /v1/models.");

    private static async Task<IResult> InferAsync(string name, HttpContext http, ServedModels models, IOptions<OpenInferenceOptions> options, IOptions<InferenceOptions> inference)
    {
        var model = await models.FindAsync(AccessClaims.TenantOf(http.User), name, VersionOf(http), http.RequestAborted);
        var body = await RequestBody.ReadAsync(http.Request, options.Value.MaxRequestBytes, http.RequestAborted);
        var request = InferRequestReader.Read(http.Request.Headers, body, model.Signature);
        var response = await models.InferAsync(AccessClaims.TenantOf(http.User), name, VersionOf(http), model, request, http.RequestAborted);
        await InferResponse.WriteAsync(http, model, request, response, inference.Value.MaxAnswerBytes);
        return Results.Empty;
    }

    private static async Task<IResult> ReadyAsync(HealthCheckService health, CancellationToken cancellationToken) =>
        (await health.CheckHealthAsync(cancellationToken)).Status == HealthStatus.Unhealthy ? Results.StatusCode(StatusCodes.Status503ServiceUnavailable) : Results.Ok();

    private static async Task<IResult> ModelReadyAsync(string name, HttpContext http, ServedModels models)
    {
        var model = await models.FindAsync(AccessClaims.TenantOf(http.User), name, VersionOf(http), http.RequestAborted);
        return Json(new ModelReady(model.Name, Text(model.Version), Ready: true));
    }

    private static async Task<IResult> MetadataAsync(string name, HttpContext http, ServedModels models)
    {
        var model = await models.FindAsync(AccessClaims.TenantOf(http.User), name, VersionOf(http), http.RequestAborted);
        var versions = await models.VersionsAsync(AccessClaims.TenantOf(http.User), model.Name, http.RequestAborted);
        return Json(new ModelMetadata(model.Name, [.. versions.Select(Text)], ServedModels.Platform, model.Signature.Inputs, model.Signature.Outputs));
    }

    private static async Task<IResult> ConfigAsync(string name, HttpContext http, ServedModels models)
    {
        var model = await models.FindAsync(AccessClaims.TenantOf(http.User), name, VersionOf(http), http.RequestAborted);
        // Triton leaves the batch axis out of a batched model's shapes.
        var batched = !model.IsSingle && model.Signature.Inputs.All(static input => input.Shape is [-1, ..]);
        return Json(new ModelConfig(
            model.Name, ServedModels.Platform, "onnxruntime", batched ? model.Batching.MaxBatchSize : 0,
            [.. model.Signature.Inputs.Select(input => TensorConfig.Of(input, batched))], [.. model.Signature.Outputs.Select(output => TensorConfig.Of(output, batched))]));
    }

    private static async Task<IResult> IndexAsync(HttpContext http, ServedModels models) =>
        Json((await models.ListAsync(AccessClaims.TenantOf(http.User), http.RequestAborted)).Select(static model => new ModelIndex(model.Name, Text(model.Version), "READY", "")).ToArray());

    private static Task<IResult> StatisticsAsync(string name, HttpContext http, ServedModels models) => ReadStatisticsAsync(name, VersionOf(http), models, http);

    private static async Task<IResult> ReadStatisticsAsync(string? name, string? version, ServedModels models, HttpContext http) =>
        Json(new StatisticsList([.. (await models.StatisticsAsync(AccessClaims.TenantOf(http.User), name, version, http.RequestAborted)).Select(VersionStatistics.Of)]));

    // One handler serves both forms of the address; only one of them has a version.
    private static string? VersionOf(HttpContext http) => http.GetRouteValue("version") as string;

    private static string Text(int version) => version.ToString(CultureInfo.InvariantCulture);

    private static IResult Json<T>(T value) => Results.Json(value, ProtocolJson.Options);
}
