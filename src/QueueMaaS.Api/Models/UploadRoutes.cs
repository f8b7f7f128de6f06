using System.Globalization;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Options;
using Microsoft.OpenApi;
using QueueMaaS.Api.Access;
using QueueMaaS.Api.Hosting;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Catalog;

namespace QueueMaaS.Api.Models;

/// <summary>Files in parts, as the tus protocol 1.0.0 says (core, creation, termination, expiration), so that its clients in every language go on after a broken connection.</summary>
internal static class UploadRoutes
{
    private const string Version = "1.0.0";
    /// <summary>What a part is sent as.</summary>
    internal const string PartType = "application/offset+octet-stream";

    public static void MapUploads(this IEndpointRouteBuilder routes)
    {
        var uploads = routes.MapGroup("/v1/uploads").WithTags("Uploads").AddEndpointFilter(CheckVersionAsync).WithScopes([AccessScopes.Submit, AccessScopes.Models], [AccessScopes.Submit, AccessScopes.Models]);
        uploads.MapMethods("", [HttpMethods.Options], Describe).ExcludeFromDescription();
        uploads.MapPost("", CreateAsync).Produces<Upload>(StatusCodes.Status201Created).WithSummary("Begin an upload in parts")
            .WithDescription("The tus protocol 1.0.0. `Location` names the upload; its parts follow by PATCH. For files too large for one request, or connections that break.")
            .WithParameter("Upload-Length", ParameterLocation.Header, "The size of the whole file in bytes.", JsonSchemaType.Integer);
        uploads.MapGet("{id}", GetAsync).Produces<Upload>().WithSummary("Get an upload").WithDescription("With its `artifact` once the whole file has arrived.");
        uploads.MapMethods("{id}", [HttpMethods.Head], HeadAsync).ExcludeFromDescription();
        uploads.MapPatch("{id}", AppendAsync).Accepts<Stream>(PartType).Produces(StatusCodes.Status204NoContent).WithSummary("Send a part")
            .WithDescription("Goes on at `Upload-Offset`, which has to be where the upload stands. What arrives of a part stays, whatever becomes of the connection.")
            .WithParameter("Upload-Offset", ParameterLocation.Header, "Where the part begins.", JsonSchemaType.Integer);
        uploads.MapDelete("{id}", EndAsync).Produces(StatusCodes.Status204NoContent).WithSummary("End an upload and forget what arrived");
    }

    private static async ValueTask<object?> CheckVersionAsync(EndpointFilterInvocationContext context, EndpointFilterDelegate next)
    {
        var http = context.HttpContext;
        http.Response.Headers["Tus-Resumable"] = Version;
        if (http.Request.Headers["Tus-Resumable"].FirstOrDefault() is { } version and not Version)
        {
            http.Response.Headers["Tus-Version"] = Version;
            return TypedResults.Problem($"This service speaks version {Version} of the tus protocol, not `{version}`.", statusCode: StatusCodes.Status412PreconditionFailed);
        }

        return await next(context);
    }

    private static IResult Describe(HttpResponse response, IOptions<ApiOptions> options)
    {
        response.Headers["Tus-Version"] = Version;
        response.Headers["Tus-Extension"] = "creation,termination,expiration";
        response.Headers["Tus-Max-Size"] = options.Value.MaxUploadBytes.ToString(CultureInfo.InvariantCulture);
        return Results.NoContent();
    }

    private static async Task<IResult> CreateAsync(HttpRequest request, IUploadStore uploads, IOptions<ApiOptions> options, CancellationToken cancellationToken)
    {
        var bytes = Number(request, "Upload-Length");
        if (bytes > options.Value.MaxUploadBytes)
            throw new ProblemException(ProblemCodes.TooLarge, $"The upload would have {bytes} bytes; at most {options.Value.MaxUploadBytes} are accepted.", ("bytes", bytes), ("limit", options.Value.MaxUploadBytes));
        var metadata = request.Headers["Upload-Metadata"].FirstOrDefault();
        if (metadata is { Length: > 4096 })
            throw new ProblemException(ProblemCodes.InvalidValue, "`Upload-Metadata` may have 4,096 characters.", ("path", "Upload-Metadata"));
        var upload = await uploads.CreateAsync(bytes, metadata, cancellationToken);
        Tell(request.HttpContext.Response, upload);
        return Results.Created($"/v1/uploads/{upload.Id}", upload);
    }

    private static async Task<Upload> GetAsync(string id, HttpResponse response, IUploadStore uploads, CancellationToken cancellationToken)
    {
        var upload = await uploads.GetAsync(id, cancellationToken);
        Tell(response, upload);
        return upload;
    }

    private static async Task<IResult> HeadAsync(string id, HttpResponse response, IUploadStore uploads, CancellationToken cancellationToken)
    {
        Tell(response, await uploads.GetAsync(id, cancellationToken));
        return Results.Ok();
    }

    private static async Task<IResult> AppendAsync(string id, HttpRequest request, IUploadStore uploads, CancellationToken cancellationToken)
    {
        if (!string.Equals(request.ContentType, PartType, StringComparison.OrdinalIgnoreCase))
            throw new ProblemException(ProblemCodes.UnsupportedMediaType, $"A part has the header `Content-Type: {PartType}`.", ("contentType", request.ContentType));
        CatalogRoutes.AllowLarge(request);
        Tell(request.HttpContext.Response, await uploads.AppendAsync(id, Number(request, "Upload-Offset"), request.Body, cancellationToken));
        return Results.NoContent();
    }

    private static async Task<IResult> EndAsync(string id, IUploadStore uploads, CancellationToken cancellationToken)
    {
        await uploads.EndAsync(id, cancellationToken);
        return Results.NoContent();
    }

    private static void Tell(HttpResponse response, Upload upload)
    {
        response.Headers["Upload-Offset"] = upload.Offset.ToString(CultureInfo.InvariantCulture);
        response.Headers["Upload-Length"] = upload.Bytes.ToString(CultureInfo.InvariantCulture);
        response.Headers["Upload-Expires"] = upload.ExpiresAt.ToString("R", CultureInfo.InvariantCulture);
        response.Headers.CacheControl = "no-store";
        if (upload.Metadata is { } metadata)
            response.Headers["Upload-Metadata"] = metadata;
        if (upload.Artifact is { } artifact)
            response.Headers["Upload-Artifact"] = artifact;
    }

    private static long Number(HttpRequest request, string header) =>
        long.TryParse(request.Headers[header].FirstOrDefault(), NumberStyles.None, CultureInfo.InvariantCulture, out var number)
            ? number
            : throw new ProblemException(ProblemCodes.InvalidRequest, $"The header `{header}` must be given, a whole number of bytes.", ("path", header));
}
