using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Options;
using QueueMaaS.Api.Hosting;
using QueueMaaS.Contracts;
using QueueMaaS.Data.Archives;
using QueueMaaS.Inference.Preparation;
using QueueMaaS.Inference.Preparation.Texts;
using QueueMaaS.Jobs.Catalog;
using QueueMaaS.Jobs.Submission;

namespace QueueMaaS.Api.Models;

/// <summary>Models, data sets and artifacts.</summary>
internal static class CatalogRoutes
{
    private const int MaxCardBytes = 1 << 20;

    public static void MapCatalog(this IEndpointRouteBuilder routes)
    {
        var models = routes.MapGroup("/v1/models").WithTags("Models");
        models.MapPut("{name}", UploadModelAsync).Accepts<Stream>("application/octet-stream", "multipart/form-data").Produces<ModelVersion>(StatusCodes.Status201Created)
            .WithSummary("Upload the next version of a model").WithDescription("The ONNX file as the body (`curl -T model.onnx`), or multipart with `model` (the file) and optionally `pipeline`, `batching` and `card` (JSON). The first version becomes `production`.");
        models.MapGet("", ListModelsAsync).Produces<Page<ModelVersion>>().WithSummary("List models, the latest version of each");
        models.MapGet("{reference}", GetModelAsync).Produces<ModelVersion>().WithSummary("Get a version").WithDescription("`name` (its production version), `name@3` or `name@alias`.");
        models.MapGet("{name}/versions", ListVersionsAsync).Produces<Page<ModelVersion>>().WithSummary("List a model's versions, newest first");
        models.MapPut("{name}/aliases/{alias}", SetAliasAsync).Accepts<AliasTarget>("application/json").Produces<ModelAlias>().WithSummary("Deploy: point an alias at a version");

        var datasets = routes.MapGroup("/v1/datasets").WithTags("Data sets");
        datasets.MapPut("{name}", UploadDatasetAsync).Accepts<Stream>("application/zip", "application/octet-stream", "*/*").Produces<Dataset>(StatusCodes.Status201Created)
            .WithSummary("Upload the next version of a data set").WithDescription("A zip as the body: an image folder (`train/<class>/*.jpg`), CIFAR-10 binary files or MNIST idx files.");
        datasets.MapGet("", ListDatasetsAsync).Produces<Page<Dataset>>().WithSummary("List data sets, the latest version of each");
        datasets.MapGet("{reference}", GetDatasetAsync).Produces<Dataset>().WithSummary("Get a data set").WithDescription("`name` (its latest version) or `name@3`.");

        var artifacts = routes.MapGroup("/v1/artifacts").WithTags("Artifacts");
        artifacts.MapPost("", UploadArtifactAsync).Accepts<Stream>("application/octet-stream", "*/*").Produces<Artifact>(StatusCodes.Status201Created).WithSummary("Upload a file").WithDescription("Its id is the hash of its content.");
        artifacts.MapGet("{id}", DownloadAsync).Produces<Stream>(contentType: "application/octet-stream").WithSummary("Download a file");
    }

    private static async Task<IResult> UploadModelAsync(
        string name, string? alias, HttpRequest request, IArtifactStore artifacts, IModelCatalog models, IModelInspector inspector, TokenizerCache tokenizers,
        IOptions<ApiOptions> options, CancellationToken cancellationToken)
    {
        RequireName(name, "model");
        if (alias is not null)
            RequireName(alias, "alias");
        var (artifact, pipeline, batching, card) = await ReceiveModelAsync(request, artifacts, options.Value.MaxUploadBytes, cancellationToken);
        var path = await artifacts.GetFileAsync(artifact.Id, cancellationToken);
        BatchingCheck.Check(batching);
        var inspection = await Task.Run(() => inspector.Inspect(path, batching), cancellationToken);
        await PipelineCheck.CheckAsync(inspection.Signature, pipeline, tokenizers, cancellationToken);
        CardCheck.Check(card);
        var version = await models.RegisterAsync(
            Requests.Tenant,
            new NewModelVersion
            {
                Name = name,
                Artifact = artifact,
                Signature = inspection.Signature,
                Card = new ModelCard { Batch = inspection.Batch, Padding = inspection.Padding, Description = card?.Description, Dataset = card?.Dataset, Parameters = card?.Parameters },
                Metrics = card?.Metrics,
                Pipeline = pipeline,
                Batching = batching,
                Alias = alias,
            },
            cancellationToken);
        return Results.Created($"/v1/models/{name}@{version.Version}", version);
    }

    private static async Task<(Artifact, ModelPipeline?, BatchingSettings, UploadedCard?)> ReceiveModelAsync(HttpRequest request, IArtifactStore artifacts, long maxBytes, CancellationToken cancellationToken)
    {
        AllowLarge(request);
        if (!request.HasFormContentType)
            return (await artifacts.PutAsync(request.Body, maxBytes, cancellationToken), null, new BatchingSettings(), null);
        var form = await request.ReadFormAsync(new FormOptions { MultipartBodyLengthLimit = maxBytes, ValueLengthLimit = MaxCardBytes }, cancellationToken);
        var file = form.Files["model"] ?? throw new ProblemException(ProblemCodes.InvalidRequest, "The multipart body lacks a file field `model` with the ONNX file.", ("path", "model"));
        await using var content = file.OpenReadStream();
        var artifact = await artifacts.PutAsync(content, maxBytes, cancellationToken);
        return (artifact, Field<ModelPipeline>(form, "pipeline"), Field<BatchingSettings>(form, "batching") ?? new BatchingSettings(), Field<UploadedCard>(form, "card"));
    }

    private static async Task<Page<ModelVersion>> ListModelsAsync(IModelCatalog models, string? cursor, int? limit, CancellationToken cancellationToken)
    {
        var size = Requests.Limit(limit);
        var found = await models.ListAsync(Requests.Tenant, Requests.ReadCursor(cursor), size + 1, cancellationToken);
        return ToPage(found, size, model => model.Name);
    }

    private static async Task<ModelVersion> GetModelAsync(string reference, IModelCatalog models, CancellationToken cancellationToken) =>
        await models.RequireAsync(Requests.Tenant, reference, cancellationToken);

    private static async Task<Page<ModelVersion>> ListVersionsAsync(string name, IModelCatalog models, string? cursor, int? limit, CancellationToken cancellationToken)
    {
        var size = Requests.Limit(limit);
        int? before = Requests.ReadCursor(cursor) is { } place ? int.TryParse(place, out var version) ? version : throw Requests.BadCursor() : null;
        var found = await models.VersionsAsync(Requests.Tenant, name, before, size + 1, cancellationToken);
        if (found.Count == 0 && before is null)
            throw new ProblemException(ProblemCodes.ModelNotFound, $"There is no model `{name}`. GET /v1/models lists what there is.", ("model", name));
        return ToPage(found, size, model => $"{model.Version}");
    }

    private static async Task<ModelAlias> SetAliasAsync(string name, string alias, HttpRequest request, IModelCatalog models, CancellationToken cancellationToken)
    {
        RequireName(alias, "alias");
        var target = SubmissionReader.ReadBody<AliasTarget>(await Requests.ReadBodyAsync(request, MaxCardBytes, cancellationToken));
        var pointed = new ModelAlias(name, alias, target.Version);
        return await models.SetAliasAsync(Requests.Tenant, pointed, cancellationToken)
            ? pointed
            : throw new ProblemException(ProblemCodes.ModelNotFound, $"There is no model `{name}@{target.Version}`. GET /v1/models/{name}/versions lists what there is.", ("model", $"{name}@{target.Version}"));
    }

    private static async Task<IResult> UploadDatasetAsync(
        string name, HttpRequest request, IArtifactStore artifacts, IDatasetCatalog datasets, IOptions<ApiOptions> options, CancellationToken cancellationToken)
    {
        RequireName(name, "data set");
        AllowLarge(request);
        var artifact = await artifacts.PutAsync(request.Body, options.Value.MaxUploadBytes, cancellationToken);
        var path = await artifacts.GetFileAsync(artifact.Id, cancellationToken);
        var card = await Task.Run(
            () =>
            {
                using var archive = DatasetArchive.Open(path);
                return archive.Inspect();
            },
            cancellationToken);
        var dataset = await datasets.RegisterAsync(Requests.Tenant, name, artifact, card, cancellationToken);
        return Results.Created($"/v1/datasets/{name}@{dataset.Version}", dataset);
    }

    private static async Task<Page<Dataset>> ListDatasetsAsync(IDatasetCatalog datasets, string? cursor, int? limit, CancellationToken cancellationToken)
    {
        var size = Requests.Limit(limit);
        var found = await datasets.ListAsync(Requests.Tenant, Requests.ReadCursor(cursor), size + 1, cancellationToken);
        return ToPage(found, size, dataset => dataset.Name);
    }

    private static async Task<Dataset> GetDatasetAsync(string reference, IDatasetCatalog datasets, CancellationToken cancellationToken) =>
        await datasets.RequireAsync(Requests.Tenant, reference, cancellationToken);

    private static async Task<IResult> UploadArtifactAsync(HttpRequest request, IArtifactStore artifacts, IOptions<ApiOptions> options, CancellationToken cancellationToken)
    {
        AllowLarge(request);
        var artifact = await artifacts.PutAsync(request.Body, options.Value.MaxUploadBytes, cancellationToken);
        return Results.Created($"/v1/artifacts/{artifact.Id}", artifact);
    }

    private static async Task<IResult> DownloadAsync(string id, IArtifactStore artifacts, CancellationToken cancellationToken) =>
        Results.File(await artifacts.GetFileAsync(id, cancellationToken), "application/octet-stream", id.Replace(':', '-'), enableRangeProcessing: true);

    private static Page<T> ToPage<T>(IReadOnlyList<T> found, int size, Func<T, string> place) =>
        new([.. found.Take(size)], found.Count > size ? Requests.WriteCursor(place(found[size - 1])) : null);

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

    private static void RequireName(string name, string what)
    {
        if (!Identifiers.IsName(name))
            throw new ProblemException(ProblemCodes.InvalidValue, $"`{name}` is not a {what} name: 1 to 64 of lower-case letters, digits and - _ . , beginning with a letter or digit.", ("name", name));
    }

    /// <summary>The upload's own limit is counted while it is stored; the server's general one would cut it off first.</summary>
    private static void AllowLarge(HttpRequest request)
    {
        if (request.HttpContext.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } feature)
            feature.MaxRequestBodySize = null;
    }
}

/// <summary>The version that an alias is to point at.</summary>
public sealed record AliasTarget
{
    public required int Version { get; init; }
}
