using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using QueueMaaS.Contracts;

namespace QueueMaaS.Api.Access;

/// <summary>The decisions that routes make about who may use them.</summary>
internal static class RouteAccess
{
    /// <summary>For callers with one of these scopes: <paramref name="read"/> for GET and HEAD, <paramref name="write"/> for the rest. A route's own decision stands before its group's.</summary>
    public static RouteGroupBuilder WithScopes(this RouteGroupBuilder group, string[] read, string[] write)
    {
        ((IEndpointConventionBuilder)group).Add(endpoint =>
        {
            var methods = endpoint.Metadata.OfType<IHttpMethodMetadata>().LastOrDefault()?.HttpMethods ?? [];
            var reads = methods.Count > 0 && methods.All(static method => HttpMethods.IsGet(method) || HttpMethods.IsHead(method));
            endpoint.Metadata.Add(new RequiresScopeAttribute(reads ? read : write));
        });
        return group;
    }

    /// <summary>For callers with one of these scopes.</summary>
    public static TBuilder WithScope<TBuilder>(this TBuilder builder, params string[] anyOf) where TBuilder : IEndpointConventionBuilder => builder.WithMetadata(new RequiresScopeAttribute(anyOf));

    /// <summary>For everybody.</summary>
    public static TBuilder WithOpenAccess<TBuilder>(this TBuilder builder) where TBuilder : IEndpointConventionBuilder => builder.WithMetadata(new OpenToAllAttribute());

    /// <summary>Its use stands in the audit trail.</summary>
    public static TBuilder WithAudit<TBuilder>(this TBuilder builder, string action) where TBuilder : IEndpointConventionBuilder => builder.WithMetadata(new AuditedAttribute(action));
}
