using System.Security.Claims;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using QueueMaaS.Contracts;

namespace QueueMaaS.Api.Access;

/// <summary>
/// Stands before every route of every role: finds out who calls, and whether the route's decision (<see cref="RequiresScopeAttribute"/>) lets them in. A route without a decision is for administrators.
/// While no key was ever made (and <c>Api:RequireKeys</c> is not set) everybody is trusted, and may name a tenant.
/// </summary>
internal sealed class AccessGate(RequestDelegate next, KeyRing keys, TokenReader tokens, AuditBook audit)
{
    private const string Bearer = "Bearer ";
    private const string KeyHeader = "X-Api-Key";

    public async Task InvokeAsync(HttpContext http)
    {
        // What routing itself answers, such as a wrong method, is nobody's secret.
        if (http.GetEndpoint() is not RouteEndpoint endpoint || endpoint.Metadata.GetMetadata<OpenToAllAttribute>() is not null)
        {
            await next(http);
            return;
        }

        try
        {
            http.User = await AdmitAsync(http, endpoint);
        }
        catch (ProblemException refused) when (http.Request.ContentType?.StartsWith("application/grpc", StringComparison.Ordinal) == true)
        {
            RefuseGrpc(http, refused.Problem);
            return;
        }

        if (endpoint.Metadata.GetMetadata<AuditedAttribute>() is { } audited)
            await AuditAsync(http, audited.Action);
        else
            await next(http);
    }

    private async ValueTask<ClaimsPrincipal> AdmitAsync(HttpContext http, RouteEndpoint endpoint)
    {
        var named = http.Request.Headers.TryGetValue(BusNames.TenantHeader, out var header) ? header.ToString() : null;
        if (!tokens.IsOn && !await keys.AreNeededAsync(http.RequestAborted))
        {
            if (named is not null && !Identifiers.IsName(named))
                throw new ProblemException(ProblemCodes.InvalidValue, $"`{BusNames.TenantHeader}` must be a name: 1 to 64 of lower-case letters, digits and - _ .", ("path", BusNames.TenantHeader));
            return Principal(named ?? AccessClaims.DefaultTenant, "user", AccessScopes.All);
        }

        var text = TextOf(http.Request) ?? throw new ProblemException(ProblemCodes.KeyMissing, $"This service asks for a key: send it as `Authorization: Bearer qm_…` or `{KeyHeader}: qm_…`. Its administrator makes keys with `queuemaas keys create`.");
        var caller = await IdentifyAsync(text, http.RequestAborted);
        var scopes = caller.Scopes;
        IReadOnlyList<string> wanted = endpoint.Metadata.GetMetadata<RequiresScopeAttribute>()?.AnyOf ?? [AccessScopes.Admin];
        if (!scopes.Any(wanted.Contains))
        {
            throw new ProblemException(
                ProblemCodes.ScopeMissing, $"{http.Request.Method} {http.Request.Path} needs a caller with the scope {string.Join(" or ", wanted.Select(static scope => $"`{scope}`"))}; this one has {string.Join(", ", scopes.Select(static scope => $"`{scope}`"))}.",
                ("wanted", wanted), ("scopes", scopes));
        }

        return named is null || named == caller.Tenant
            ? Principal(caller.Tenant, caller.Name, scopes)
            : throw new ProblemException(ProblemCodes.TenantForbidden, $"The key belongs to another tenant than the one in `{BusNames.TenantHeader}`. Leave the header out: the key says whose it is.");
    }

    private async ValueTask<Identity> IdentifyAsync(string text, CancellationToken cancellationToken)
    {
        if (tokens.IsOn && TokenReader.LooksLikeOne(text))
            return await tokens.ReadAsync(text, cancellationToken);
        var key = await keys.FindAsync(text, cancellationToken) ?? throw new ProblemException(ProblemCodes.KeyInvalid, "The key is unknown, or it has expired or was revoked. Ask the service's administrator for a new one.");
        return new Identity(key.Tenant, $"key {key.Id}", key.Scopes.Split(' '));
    }

    private static string? TextOf(HttpRequest request)
    {
        if (request.Headers.TryGetValue(KeyHeader, out var own) && own.ToString() is { Length: > 0 } text)
            return text;
        var authorization = request.Headers.Authorization.ToString();
        return authorization.StartsWith(Bearer, StringComparison.OrdinalIgnoreCase) && authorization.Length > Bearer.Length ? authorization[Bearer.Length..].Trim() : null;
    }

    private static ClaimsPrincipal Principal(string tenant, string name, IReadOnlyList<string> scopes) =>
        new(new ClaimsIdentity([new(AccessClaims.Tenant, tenant), new(AccessClaims.Name, name), .. scopes.Select(static scope => new Claim(AccessClaims.Scope, scope))], "key"));

    /// <summary>gRPC clients read the status from trailers; an answer without a body has them among its headers.</summary>
    private static void RefuseGrpc(HttpContext http, Problem problem)
    {
        http.Response.ContentType = "application/grpc";
        // UNAUTHENTICATED, PERMISSION_DENIED and INVALID_ARGUMENT.
        http.Response.Headers["grpc-status"] = ProblemStatus.Of(problem.Code) switch { StatusCodes.Status401Unauthorized => "16", StatusCodes.Status403Forbidden => "7", _ => "3" };
        http.Response.Headers["grpc-message"] = Uri.EscapeDataString(problem.Message);
        http.Response.Headers["queuemaas-code"] = problem.Code;
    }

    private async Task AuditAsync(HttpContext http, string action)
    {
        var outcome = ProblemCodes.InternalError;
        try
        {
            await next(http);
            outcome = http.Response.StatusCode < 400 ? "done" : $"status {http.Response.StatusCode}";
        }
        catch (ProblemException exception)
        {
            outcome = exception.Problem.Code;
            throw;
        }
        finally
        {
            await RememberAsync(http, action, outcome);
        }
    }

    private Task RememberAsync(HttpContext http, string action, string outcome)
    {
        var subject = string.Join('/', http.Request.RouteValues.OrderBy(static value => value.Key == "name" ? "" : value.Key, StringComparer.Ordinal).Select(static value => value.Value));
        return audit.RememberAsync(AccessClaims.TenantOf(http.User), AccessClaims.NameOf(http.User), action, subject, outcome);
    }
}
