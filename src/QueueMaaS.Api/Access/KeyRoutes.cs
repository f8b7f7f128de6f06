using System.Security.Claims;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using QueueMaaS.Api.Hosting;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Access;
using QueueMaaS.Jobs.Submission;

namespace QueueMaaS.Api.Access;

/// <summary>Keys and the audit trail. Administrators see to their own tenant, those of the tenant <c>default</c> to all.</summary>
internal static class KeyRoutes
{
    private const int MaxBodyBytes = 1 << 16;
    private const int MaxKeepSeconds = 30 * 24 * 3600;

    public static void MapKeys(this IEndpointRouteBuilder routes)
    {
        var keys = routes.MapGroup("/v1/keys").WithTags("Access").WithScopes([AccessScopes.Admin], [AccessScopes.Admin]);
        keys.MapPost("", CreateAsync).Accepts<NewApiKey>("application/json").Produces<ApiKeyView>(StatusCodes.Status201Created).WithSummary("Make a key")
            .WithDescription("Its `secret` is in this answer only. From the first key on every route asks for one.")
            .WithExample("submitter", """{"name":"shop backend","tenant":"shop","scopes":["submit","read"]}""");
        keys.MapGet("", ListAsync).Produces<IReadOnlyList<ApiKeyView>>().WithSummary("List keys, without their secrets");
        keys.MapPost("{id}/rotate", RotateAsync).Accepts<KeyRotation>("application/json").Produces<ApiKeyView>().WithSummary("Give a key a new secret").WithDescription("The old one works on for `keepOldSeconds`, so that callers can be changed over.");
        keys.MapDelete("{id}", RevokeAsync).Produces<ApiKeyView>().WithSummary("Revoke a key").WithDescription("For good. Other processes of the service take it until `Api:KeyCache` has passed, 5 seconds as a rule.");
        routes.MapGet("/v1/audit", AuditAsync).WithTags("Access").WithScope(AccessScopes.Admin).Produces<Page<AuditEntry>>().WithSummary("List acts of administration, newest first");
    }

    private static async Task<IResult> CreateAsync(Caller caller, HttpRequest request, KeyOffice office, KeyRing ring, CancellationToken cancellationToken)
    {
        var wanted = SubmissionReader.ReadBody<NewApiKey>(await Requests.ReadBodyAsync(request, MaxBodyBytes, cancellationToken));
        if (wanted.Tenant is { } other && other != caller.Tenant && SeenBy(caller) is not null)
            throw new ProblemException(ProblemCodes.TenantForbidden, $"Keys for the tenant `{other}` are made by its own administrators, or those of the tenant `{AccessClaims.DefaultTenant}`.", ("tenant", other));
        var key = await office.CreateAsync(wanted with { Tenant = wanted.Tenant ?? caller.Tenant }, caller.Name, cancellationToken);
        ring.Forget(key.Id);
        return Results.Created($"/v1/keys/{key.Id}", key);
    }

    private static async Task<IReadOnlyList<ApiKeyView>> ListAsync(Caller caller, IApiKeyStore store, CancellationToken cancellationToken) =>
        [.. (await store.ListAsync(SeenBy(caller), cancellationToken)).Select(static key => key.ToView())];

    private static async Task<ApiKeyView> RotateAsync(Caller caller, string id, HttpRequest request, KeyOffice office, KeyRing ring, CancellationToken cancellationToken)
    {
        var body = await Requests.ReadBodyAsync(request, MaxBodyBytes, cancellationToken);
        var keep = body.Length == 0 ? 0 : SubmissionReader.ReadBody<KeyRotation>(body).KeepOldSeconds;
        if (keep is < 0 or > MaxKeepSeconds)
            throw new ProblemException(ProblemCodes.InvalidValue, $"`keepOldSeconds` must be a whole number from 0 to {MaxKeepSeconds}.", ("path", "keepOldSeconds"));
        var key = await office.RotateAsync(id, SeenBy(caller), TimeSpan.FromSeconds(keep), caller.Name, cancellationToken);
        ring.Forget(id);
        return key;
    }

    private static async Task<ApiKeyView> RevokeAsync(Caller caller, string id, KeyOffice office, KeyRing ring, CancellationToken cancellationToken)
    {
        var key = await office.RevokeAsync(id, SeenBy(caller), caller.Name, cancellationToken);
        ring.Forget(id);
        return key;
    }

    private static async Task<Page<AuditEntry>> AuditAsync(Caller caller, IAuditTrail audit, string? cursor, int? limit, CancellationToken cancellationToken)
    {
        var size = Requests.Limit(limit);
        var entries = await audit.ListAsync(SeenBy(caller), Requests.ReadCursor(cursor), size + 1, cancellationToken);
        return Requests.ToPage(entries, size, static entry => entry.Id);
    }

    private static string? SeenBy(Caller caller) => caller.IsOperator ? null : caller.Tenant;
}

/// <summary>How a key is rotated.</summary>
public sealed record KeyRotation
{
    /// <summary>How long the old secret works on, up to 30 days. Default 0: not at all.</summary>
    public int KeepOldSeconds { get; init; }
}
