using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Options;
using QueueMaaS.Api.Access;
using QueueMaaS.Api.Hosting;
using QueueMaaS.Api.Models;
using QueueMaaS.Contracts;
using QueueMaaS.Inference.BatchJobs;
using QueueMaaS.Jobs.Catalog;
using QueueMaaS.Jobs.Life;
using QueueMaaS.Jobs.Submission;

namespace QueueMaaS.Api.OpenAi;

/// <summary>Files and batches as OpenAI's clients know them, so that those work with another base address. A batch is a batch job like any other.</summary>
internal static class OpenAiRoutes
{
    private const string Tag = "openai-batch";
    private const int MaxBodyBytes = 1 << 16;
    private const int MaxListed = 100;

    public static void MapOpenAi(this IEndpointRouteBuilder routes)
    {
        var files = routes.MapGroup("/v1/files").WithTags("OpenAI").AddEndpointFilter(InOpenAiWordsAsync).WithScopes([AccessScopes.Read], [AccessScopes.Submit]);
        files.MapPost("", UploadAsync).Accepts<IFormFile>("multipart/form-data").WithSummary("Upload a file").WithDescription("The form fields `file` and `purpose`, as OpenAI's clients send them.");
        files.MapGet("", ListFilesAsync).WithSummary("List files");
        files.MapGet("{id}", GetFileAsync).WithSummary("Get a file's description");
        files.MapGet("{id}/content", ContentAsync).WithSummary("Download a file");
        files.MapDelete("{id}", DeleteAsync).WithSummary("Delete a file");

        var batches = routes.MapGroup("/v1/batches").WithTags("OpenAI").AddEndpointFilter(InOpenAiWordsAsync).WithScopes([AccessScopes.Read], [AccessScopes.Submit]);
        batches.MapPost("", CreateAsync).Accepts<OpenAiBatchRequest>("application/json").WithSummary("Create a batch").WithDescription("Of an uploaded JSONL file of requests to `/v1/inference` or `/v1/embeddings`.");
        batches.MapGet("", ListAsync).WithSummary("List batches");
        batches.MapGet("{id}", GetAsync).WithSummary("Get a batch");
        batches.MapPost("{id}/cancel", CancelAsync).WithSummary("Cancel a batch").WithDescription("What is done is kept in its files.");
    }

    /// <summary>Tells errors in the form that OpenAI's clients read.</summary>
    private static async ValueTask<object?> InOpenAiWordsAsync(EndpointFilterInvocationContext context, EndpointFilterDelegate next)
    {
        try
        {
            return await next(context);
        }
        catch (ProblemException exception)
        {
            var status = ProblemStatus.Of(exception.Problem.Code);
            // Their clients expect 400 for what cannot be done.
            status = status == StatusCodes.Status422UnprocessableEntity ? StatusCodes.Status400BadRequest : status;
            var path = exception.Problem.Details?.GetValueOrDefault("path") is { ValueKind: JsonValueKind.String } at ? at.GetString() : null;
            return Json(new OpenAiError(new(exception.Problem.Message, "invalid_request_error", path, exception.Problem.Code)), status);
        }
    }

    private static async Task<IResult> UploadAsync(Caller caller, HttpRequest request, IArtifactStore artifacts, IFileCatalog files, IOptions<ApiOptions> options, TimeProvider time, CancellationToken cancellationToken)
    {
        if (!request.HasFormContentType)
            throw new ProblemException(ProblemCodes.InvalidRequest, "The body must be a form (multipart/form-data) with the fields `file` and `purpose`.");
        CatalogRoutes.AllowLarge(request);
        var form = await Requests.ReadFormAsync(request, options.Value.MaxUploadBytes, MaxBodyBytes, cancellationToken);
        var file = form.Files["file"] ?? throw new ProblemException(ProblemCodes.InvalidRequest, "The form lacks the field `file`.", ("path", "file"));
        var purpose = form["purpose"].FirstOrDefault();
        if (string.IsNullOrEmpty(purpose) || purpose.Length > 64)
            throw new ProblemException(ProblemCodes.InvalidRequest, "The form lacks the field `purpose`, such as `batch`.", ("path", "purpose"));
        await using var content = file.OpenReadStream();
        var artifact = await artifacts.PutAsync(content, options.Value.MaxUploadBytes, cancellationToken);
        var now = time.GetUtcNow();
        var stored = new StoredFile($"file-{Ulid.NewUlid(now)}", Path.GetFileName(file.FileName) is { Length: > 0 } name ? name[..Math.Min(name.Length, 255)] : "file", purpose, artifact.Id, artifact.Bytes, now);
        await files.AddAsync(caller.Tenant, stored, cancellationToken);
        return Json(OpenAiFile.Of(stored));
    }

    private static async Task<IResult> ListFilesAsync(Caller caller, IFileCatalog files, string? purpose, string? after, int? limit, CancellationToken cancellationToken)
    {
        var size = Math.Clamp(limit ?? MaxListed, 1, 10_000);
        var found = await files.ListAsync(caller.Tenant, purpose, after, size + 1, cancellationToken);
        return Json(Page(found.Select(OpenAiFile.Of).ToArray(), size, static file => file.Id));
    }

    private static async Task<IResult> GetFileAsync(Caller caller, string id, IFileCatalog files, CancellationToken cancellationToken) => Json(OpenAiFile.Of(await RequireAsync(files, caller, id, cancellationToken)));

    private static async Task<IResult> ContentAsync(Caller caller, string id, IFileCatalog files, IArtifactStore artifacts, CancellationToken cancellationToken)
    {
        var file = await RequireAsync(files, caller, id, cancellationToken);
        return Results.File(await artifacts.OpenAsync(file.Artifact, cancellationToken), "application/octet-stream", file.Name, enableRangeProcessing: true);
    }

    private static async Task<IResult> DeleteAsync(Caller caller, string id, IFileCatalog files, CancellationToken cancellationToken) => await files.DeleteAsync(caller.Tenant, id, cancellationToken)
        ? Json(new Dictionary<string, object> { ["id"] = id, ["object"] = "file", ["deleted"] = true })
        : throw NoFile(id);

    private static async Task<IResult> CreateAsync(
        Caller caller, HttpRequest request, IFileCatalog files, IArtifactStore artifacts, JobSubmitter submitter, BatchViews views, TimeProvider time, CancellationToken cancellationToken)
    {
        var asked = Read(await Requests.ReadBodyAsync(request, MaxBodyBytes, cancellationToken));
        var file = await RequireAsync(files, caller, asked.InputFileId, cancellationToken);
        await using var content = await artifacts.OpenAsync(file.Artifact, cancellationToken);
        var (model, url) = await BatchSources.ReadOpenAiHeadAsync(content, cancellationToken);
        if (url != asked.Endpoint)
            throw new ProblemException(ProblemCodes.InvalidValue, $"`endpoint` is `{asked.Endpoint}`, but the file's requests are for `{url}`.", ("path", "endpoint"));
        var metadata = new Dictionary<string, string>(asked.Metadata ?? new Dictionary<string, string>(), StringComparer.Ordinal);
        var input = new BatchInput { Model = model, Artifact = file.Artifact, Format = BatchFormat.OpenAi, CompletionWindow = asked.CompletionWindow, Metadata = metadata };
        var submission = new JobSubmission
        {
            Id = $"batch_{Ulid.NewUlid(time.GetUtcNow())}",
            Kind = JobKind.Batch,
            Input = JsonSerializer.SerializeToElement(input, QueueMaaSJson.Relaxed),
            Tags = [Tag, $"file:{file.Id}", $"endpoint:{asked.Endpoint}"],
        };
        var outcome = await submitter.SubmitAsync(submission, new SubmissionOrigin(caller.Tenant), cancellationToken);
        return Json(await views.ShowAsync(outcome.Job, cancellationToken));
    }

    private static async Task<IResult> GetAsync(Caller caller, string id, IJobStore store, BatchViews views, CancellationToken cancellationToken) =>
        Json(await views.ShowAsync(await RequireAsync(store, caller, id, cancellationToken), cancellationToken));

    private static async Task<IResult> ListAsync(Caller caller, IJobStore store, BatchViews views, string? after, int? limit, CancellationToken cancellationToken)
    {
        var size = Math.Clamp(limit ?? 20, 1, MaxListed);
        var place = after is null ? null : await store.FindAsync(caller.Tenant, after, cancellationToken);
        var found = await store.ListAsync(
            new JobQuery(caller.Tenant) { Kind = JobKind.Batch, Tag = Tag, Limit = size + 1, After = place is null ? null : (place.CreatedAt, place.Id) }, cancellationToken);
        var shown = new List<OpenAiBatch>(found.Count);
        foreach (var job in found)
            shown.Add(await views.ShowAsync(job, cancellationToken));
        return Json(Page(shown, size, static batch => batch.Id));
    }

    private static async Task<IResult> CancelAsync(Caller caller, string id, IJobStore store, BatchViews views, CancellationToken cancellationToken)
    {
        await RequireAsync(store, caller, id, cancellationToken);
        var job = await store.CancelAsync(caller.Tenant, id, caller.Name, cancellationToken);
        return job is { State: JobState.Cancelled }
            ? Json(await views.ShowAsync(job, cancellationToken))
            : throw new ProblemException(ProblemCodes.JobStateConflict, $"Batch `{id}` has ended already and cannot be cancelled.");
    }

    private static OpenAiBatchRequest Read(byte[] body)
    {
        try
        {
            return JsonSerializer.Deserialize<OpenAiBatchRequest>(body, OpenAiJson.Options) ?? throw new JsonException();
        }
        catch (JsonException)
        {
            throw new ProblemException(ProblemCodes.InvalidRequest, "The body must be JSON with `input_file_id`, `endpoint` and `completion_window`.");
        }
    }

    private static async Task<StoredFile> RequireAsync(IFileCatalog files, Caller caller, string id, CancellationToken cancellationToken) => await files.FindAsync(caller.Tenant, id, cancellationToken) ?? throw NoFile(id);

    private static async Task<JobRecord> RequireAsync(IJobStore store, Caller caller, string id, CancellationToken cancellationToken) =>
        await store.FindAsync(caller.Tenant, id, cancellationToken) is { Kind: JobKind.Batch } job && BatchViews.IsOpenAi(job)
            ? job
            : throw new ProblemException(ProblemCodes.JobNotFound, $"There is no batch `{id}`.", ("path", "batch_id"));

    private static ProblemException NoFile(string id) => new(ProblemCodes.NotFound, $"There is no file `{id}`.", ("path", "file_id"));

    private static OpenAiList<T> Page<T>(IReadOnlyList<T> found, int size, Func<T, string> id)
    {
        var page = found.Take(size).ToArray();
        return new(page, page.Length == 0 ? null : id(page[0]), page.Length == 0 ? null : id(page[^1]), found.Count > size);
    }

    private static IResult Json<T>(T value, int status = StatusCodes.Status200OK) => Results.Json(value, OpenAiJson.Options, statusCode: status);
}
