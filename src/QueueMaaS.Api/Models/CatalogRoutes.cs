using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Options;
using QueueMaaS.Api.Access;
using QueueMaaS.Api.Hosting;
using QueueMaaS.Contracts;
using QueueMaaS.Data;
using QueueMaaS.Jobs.Catalog;
using QueueMaaS.Jobs.Submission;

namespace QueueMaaS.Api.Models;

/// <summary>Models, data sets and artifacts.</summary>
internal static class CatalogRoutes
{
    private const int MaxCardBytes = 1 << 20;

    public static void MapCatalog(this IEndpointRouteBuilder routes)
    {
        var models = routes.MapGroup("/v1/models").WithTags("Models").WithScopes([AccessScopes.Read], [AccessScopes.Models]);
        models.MapPut("{name}", UploadModelAsync).WithAudit("model.register").Accepts<Stream>("application/octet-stream", "multipart/form-data").Produces<ModelVersion>(StatusCodes.Status201Created)
            .WithSummary("Upload the next version of a model").WithDescription("The ONNX file as the body (`curl -T model.onnx`), or multipart with `model` (the file) and optionally `pipeline`, `batching` and `card` (JSON). A model whose weights lie in other files comes as a zip of the .onnx file and those. The first version becomes `production`.");
        models.MapPost("{name}/versions", ImportModelAsync).WithAudit("model.register").Accepts<ModelImport>("application/json").Produces<ModelVersion>(StatusCodes.Status201Created)
            .WithSummary("Import the next version of a model").WithDescription("From an address, a file of the service's import folder, or an artifact (such as one uploaded in parts), with its checksum checked where one is given.")
            .WithExample("url", """{"url":"https://example.org/model.onnx","sha256":"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"}""")
            .WithExample("artifact", """{"artifact":"sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08","batching":{"maxBatchSize":64},"alias":"canary"}""");
        models.MapGet("", ListModelsAsync).Produces<Page<ModelVersion>>().WithSummary("List models, the latest version of each");
        models.MapGet("{reference}", GetModelAsync).Produces<ModelVersion>().WithSummary("Get a version").WithDescription("`name` (its production version), `name@3` or `name@alias`.");
        models.MapGet("{name}/versions", ListVersionsAsync).Produces<Page<ModelVersion>>().WithSummary("List a model's versions, newest first");
        models.MapPut("{name}/aliases/{alias}", AliasRoutes.SetAsync).WithAudit("model.deploy").Accepts<AliasTarget>("application/json").Produces<ModelAlias>().WithSummary("Deploy: point an alias at a version")
            .WithDescription("With `share`, that part of the requests that name the model alone goes to this version and the rest to `production`: a canary. `name@alias` always means this version.")
            .WithExample("deploy", """{"version":3}""")
            .WithExample("canary", """{"version":4,"share":0.1}""");
        models.MapGet("{name}/aliases", AliasRoutes.ListAsync).Produces<IReadOnlyList<ModelAlias>>().WithSummary("List a model's aliases");
        models.MapDelete("{name}/aliases/{alias}", AliasRoutes.RemoveAsync).WithAudit("model.undeploy").Produces(StatusCodes.Status204NoContent).WithSummary("Take an alias away").WithDescription("The version stays. `production` can only be pointed elsewhere.");

        var datasets = routes.MapGroup("/v1/datasets").WithTags("Data sets").WithScopes([AccessScopes.Read], [AccessScopes.Models]);
        datasets.MapPut("{name}", UploadDatasetAsync).WithAudit("dataset.register").Accepts<Stream>("application/zip", "application/octet-stream", "*/*").Produces<Dataset>(StatusCodes.Status201Created)
            .WithSummary("Upload the next version of a data set").WithDescription("The file as the body: a zip with an image folder (`train/<class>/*.jpg`), CIFAR-10 binary or MNIST idx files; a table as CSV or Parquet; texts as JSON Lines; NumPy arrays (.npy, .npz). What it is is told from its content. See docs/datasets.md.");
        datasets.MapGet("", ListDatasetsAsync).Produces<Page<Dataset>>().WithSummary("List data sets, the latest version of each");
        datasets.MapGet("{reference}", GetDatasetAsync).Produces<Dataset>().WithSummary("Get a data set").WithDescription("`name` (its latest version) or `name@3`.");

        var artifacts = routes.MapGroup("/v1/artifacts").WithTags("Artifacts").WithScopes([AccessScopes.Read], [AccessScopes.Submit, AccessScopes.Models]);
        artifacts.MapPost("", UploadArtifactAsync).Accepts<Stream>("application/octet-stream", "*/*").Produces<Artifact>(StatusCodes.Status201Created).WithSummary("Upload a file").WithDescription("Its id is the hash of its content.");
        artifacts.MapGet("{id}", DownloadAsync).Produces<Stream>(contentType: "application/octet-stream").WithSummary("Download a file");
    }

    private static async Task<IResult> UploadModelAsync(
        Caller caller, string name, string? alias, HttpRequest request, IArtifactStore artifacts, ModelRegistration registration, IOptions<ApiOptions> options, CancellationToken cancellationToken)
    {
        RequireName(name, "model");
        if (alias is not null)
            RequireAlias(alias);
        var model = await ReceiveModelAsync(request, artifacts, options.Value.MaxUploadBytes, cancellationToken);
        return Created(await registration.RegisterAsync(caller.Tenant, name, model with { Alias = alias }, cancellationToken));
    }

    private static async Task<IResult> ImportModelAsync(Caller caller, string name, HttpRequest request, FileImporter importer, ModelRegistration registration, CancellationToken cancellationToken)
    {
        RequireName(name, "model");
        var import = SubmissionReader.ReadBody<ModelImport>(await Requests.ReadBodyAsync(request, MaxCardBytes, cancellationToken));
        if (import.Alias is { } alias)
            RequireAlias(alias);
        var artifact = await importer.FetchAsync(import, cancellationToken);
        return Created(await registration.RegisterAsync(
            caller.Tenant, name, new NewModel(artifact) { Pipeline = import.Pipeline, Batching = import.Batching, Card = import.Card, Alias = import.Alias }, cancellationToken));
    }

    private static IResult Created(ModelVersion version) => Results.Created($"/v1/models/{version.Name}@{version.Version}", version);

    private static async Task<NewModel> ReceiveModelAsync(HttpRequest request, IArtifactStore artifacts, long maxBytes, CancellationToken cancellationToken)
    {
        AllowLarge(request);
        var kind = (request.ContentType ?? "").Split(';')[0].Trim().ToLowerInvariant();
        if (kind == UploadRoutes.PartType)
            throw new ProblemException(ProblemCodes.UnsupportedMediaType, $"`{kind}` is a part of an upload after the tus protocol: send it by PATCH to the address that POST /v1/uploads gave, then make a version of what arrived by POST /v1/models/{{name}}/versions with its `artifact`. To send a whole file at once, give it the type `application/octet-stream`.", ("contentType", kind));
        if (kind != "multipart/form-data")
            return new NewModel(await artifacts.PutAsync(request.Body, maxBytes, cancellationToken));
        var form = await Requests.ReadFormAsync(request, maxBytes, MaxCardBytes, cancellationToken);
        var file = form.Files["model"] ?? throw new ProblemException(ProblemCodes.InvalidRequest, "The multipart body lacks a file field `model` with the ONNX file.", ("path", "model"));
        await using var content = file.OpenReadStream();
        var artifact = await artifacts.PutAsync(content, maxBytes, cancellationToken);
        return new NewModel(artifact) { Pipeline = Field<ModelPipeline>(form, "pipeline"), Batching = Field<BatchingSettings>(form, "batching"), Card = Field<UploadedCard>(form, "card") };
    }

    private static async Task<Page<ModelVersion>> ListModelsAsync(Caller caller, IModelCatalog models, string? cursor, int? limit, CancellationToken cancellationToken)
    {
        var size = Requests.Limit(limit);
        var found = await models.ListAsync(caller.Tenant, Requests.ReadCursor(cursor), size + 1, cancellationToken);
        return Requests.ToPage(found, size, model => model.Name);
    }

    private static async Task<ModelVersion> GetModelAsync(Caller caller, string reference, IModelCatalog models, CancellationToken cancellationToken) =>
        await models.RequireAsync(caller.Tenant, reference, cancellationToken);

    private static async Task<Page<ModelVersion>> ListVersionsAsync(Caller caller, string name, IModelCatalog models, string? cursor, int? limit, CancellationToken cancellationToken)
    {
        var size = Requests.Limit(limit);
        int? before = Requests.ReadCursor(cursor) is { } place ? int.TryParse(place, out var version) ? version : throw Requests.BadCursor() : null;
        var found = await models.VersionsAsync(caller.Tenant, name, before, size + 1, cancellationToken);
        if (found.Count == 0 && before is null)
            throw new ProblemException(ProblemCodes.ModelNotFound, $"There is no model `{name}`. GET /v1/models lists what there is.", ("model", name));
        return Requests.ToPage(found, size, model => $"{model.Version}");
    }

    private static async Task<IResult> UploadDatasetAsync(
        Caller caller, string name, HttpRequest request, IArtifactStore artifacts, IDatasetCatalog datasets, IOptions<ApiOptions> options, CancellationToken cancellationToken)
    {
        RequireName(name, "data set");
        AllowLarge(request);
        var artifact = await artifacts.PutAsync(request.Body, options.Value.MaxUploadBytes, cancellationToken);
        var path = await artifacts.GetFileAsync(artifact.Id, cancellationToken);
        var card = await Task.Run(() => DatasetFile.Inspect(path), cancellationToken);
        var dataset = await datasets.RegisterAsync(caller.Tenant, name, artifact, card, cancellationToken);
        return Results.Created($"/v1/datasets/{name}@{dataset.Version}", dataset);
    }

    private static async Task<Page<Dataset>> ListDatasetsAsync(Caller caller, IDatasetCatalog datasets, string? cursor, int? limit, CancellationToken cancellationToken)
    {
        var size = Requests.Limit(limit);
        var found = await datasets.ListAsync(caller.Tenant, Requests.ReadCursor(cursor), size + 1, cancellationToken);
        return Requests.ToPage(found, size, dataset => dataset.Name);
    }

    private static async Task<Dataset> GetDatasetAsync(Caller caller, string reference, IDatasetCatalog datasets, CancellationToken cancellationToken) =>
        await datasets.RequireAsync(caller.Tenant, reference, cancellationToken);

    private static async Task<IResult> UploadArtifactAsync(HttpRequest request, IArtifactStore artifacts, IOptions<ApiOptions> options, CancellationToken cancellationToken)
    {
        AllowLarge(request);
        var artifact = await artifacts.PutAsync(request.Body, options.Value.MaxUploadBytes, cancellationToken);
        return Results.Created($"/v1/artifacts/{artifact.Id}", artifact);
    }

    private static async Task<IResult> DownloadAsync(string id, IArtifactStore artifacts, CancellationToken cancellationToken) =>
        Results.File(await artifacts.OpenAsync(id, cancellationToken), "application/octet-stream", id.Replace(':', '-'), enableRangeProcessing: true);

    /// <summary>A JSON field of the form; what is wrong in it is named by its path, such as <c>pipeline.image.width</c>.</summary>
    private static T? Field<T>(IFormCollection form, string name) where T : class
    {
        if (!form.TryGetValue(name, out var json))
            return null;
        try
        {
            return SubmissionReader.ReadBody<T>(System.Text.Encoding.UTF8.GetBytes(json.ToString()));
        }
        catch (ProblemException exception)
        {
            var details = new Dictionary<string, System.Text.Json.JsonElement>(exception.Problem.Details ?? new Dictionary<string, System.Text.Json.JsonElement>(), StringComparer.Ordinal);
            var path = details.TryGetValue("path", out var inner) && inner.GetString() is { } place and not "the body" ? $"{name}.{place}" : name;
            details["path"] = System.Text.Json.JsonSerializer.SerializeToElement(path);
            throw new ProblemException(exception.Problem with { Message = $"`{path}`: {exception.Problem.Message}", Details = details }, exception);
        }
    }

    internal static void RequireName(string name, string what)
    {
        if (!Identifiers.IsName(name))
            throw new ProblemException(ProblemCodes.InvalidValue, $"`{name}` cannot be the name of a {what}: 1 to 64 of lower-case letters, digits and - _ . , beginning with a letter or digit.", ("name", name));
    }

    internal static void RequireAlias(string alias)
    {
        if (!Identifiers.IsAlias(alias))
            throw new ProblemException(ProblemCodes.InvalidValue, $"`{alias}` cannot be an alias, which must be {Identifiers.AliasRule}.", ("path", "alias"), ("name", alias));
    }

    /// <summary>The upload's own limit is counted while it is stored; the server's general one would cut it off first.</summary>
    internal static void AllowLarge(HttpRequest request)
    {
        if (request.HttpContext.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } feature)
            feature.MaxRequestBodySize = null;
    }
}
