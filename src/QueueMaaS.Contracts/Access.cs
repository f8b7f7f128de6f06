using System.Security.Claims;

namespace QueueMaaS.Contracts;

/// <summary>What a key may do. A route asks for one of them.</summary>
public static class AccessScopes
{
    /// <summary>Submit, cancel, requeue and delete jobs; schedules, webhook endpoints, uploads; inference over <c>/v2</c> and gRPC.</summary>
    public const string Submit = "submit";
    /// <summary>Read everything that belongs to the key's tenant.</summary>
    public const string Read = "read";
    /// <summary>Upload, import and deploy models; upload data sets.</summary>
    public const string Models = "models";
    /// <summary>Manage keys and read the audit trail of the tenant; in the tenant <c>default</c>, those of all tenants, and the queues.</summary>
    public const string Admin = "admin";

    /// <summary>All of them.</summary>
    public static IReadOnlyList<string> All { get; } = [Submit, Read, Models, Admin];
}

/// <summary>Claims of the principal that a request runs as.</summary>
public static class AccessClaims
{
    /// <summary>The tenant.</summary>
    public const string Tenant = "queuemaas-tenant";
    /// <summary>Who it is, for histories and the audit trail.</summary>
    public const string Name = "queuemaas-name";
    /// <summary>What the caller may do, one claim for each of <see cref="AccessScopes"/>.</summary>
    public const string Scope = "queuemaas-scope";

    /// <summary>The tenant of whoever names none, and whose administrators see to all tenants.</summary>
    public const string DefaultTenant = "default";

    /// <summary>Whose jobs, models and data a request works with.</summary>
    public static string TenantOf(ClaimsPrincipal user) => Require(user).FindFirst(Tenant)?.Value ?? DefaultTenant;

    /// <summary>What stands in histories for what the request does.</summary>
    public static string NameOf(ClaimsPrincipal user) => Require(user).FindFirst(Name)?.Value ?? "user";

    /// <summary>What the request's caller may do.</summary>
    public static IReadOnlyList<string> ScopesOf(ClaimsPrincipal user) => [.. Require(user).FindAll(Scope).Select(static claim => claim.Value)];

    private static ClaimsPrincipal Require(ClaimsPrincipal user)
    {
        ArgumentNullException.ThrowIfNull(user);
        return user;
    }
}

/// <summary>A route's decision about who may use it: callers with at least one of these scopes. A route without a decision is for <c>admin</c> only.</summary>
/// <param name="anyOf">Names from <see cref="AccessScopes"/>.</param>
[AttributeUsage(AttributeTargets.Class | AttributeTargets.Method, Inherited = false)]
public sealed class RequiresScopeAttribute(params string[] anyOf) : Attribute
{
    /// <summary>One of these is needed.</summary>
    public IReadOnlyList<string> AnyOf { get; } = anyOf;
}

/// <summary>The route is for everybody, with or without a key.</summary>
[AttributeUsage(AttributeTargets.Class | AttributeTargets.Method, Inherited = false)]
public sealed class OpenToAllAttribute : Attribute;

/// <summary>What the route does stands in the audit trail.</summary>
/// <param name="action">Such as <c>model.deploy</c>.</param>
[AttributeUsage(AttributeTargets.Class | AttributeTargets.Method, Inherited = false)]
public sealed class AuditedAttribute(string action) : Attribute
{
    /// <summary>Such as <c>model.deploy</c>.</summary>
    public string Action { get; } = action;
}

/// <summary>An API key as it can be shown.</summary>
public sealed record ApiKeyView
{
    /// <summary>Names the key; it is part of the secret's text.</summary>
    public required string Id { get; init; }
    /// <summary>What it is for.</summary>
    public required string Name { get; init; }
    /// <summary>Whose jobs, models and data it works with.</summary>
    public required string Tenant { get; init; }
    /// <summary>What it may do.</summary>
    public required IReadOnlyList<string> Scopes { get; init; }
    /// <summary>When it was made.</summary>
    public required DateTimeOffset CreatedAt { get; init; }
    /// <summary>Until when it works; null: until it is revoked.</summary>
    public DateTimeOffset? ExpiresAt { get; init; }
    /// <summary>Since when it does not work any more.</summary>
    public DateTimeOffset? RevokedAt { get; init; }
    /// <summary>Until when the secret before the last rotation works too.</summary>
    public DateTimeOffset? OldSecretUntil { get; init; }
    /// <summary>The text that callers send. Shown once, when it is made; only its hash is kept.</summary>
    public string? Secret { get; init; }
}

/// <summary>An act of administration. Never changed and never deleted by the program.</summary>
/// <param name="Id">Sorts by time.</param>
/// <param name="At">When.</param>
/// <param name="Tenant">In which tenant.</param>
/// <param name="Actor">Who: a key's id, a token's subject, <c>command line</c>, or <c>user</c> while no keys are asked for.</param>
/// <param name="Action">What, such as <c>key.create</c>.</param>
/// <param name="Subject">To what.</param>
/// <param name="Outcome"><c>done</c>, or the code of the problem that it ended with.</param>
public sealed record AuditEntry(string Id, DateTimeOffset At, string Tenant, string Actor, string Action, string Subject, string Outcome);
