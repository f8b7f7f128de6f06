using System.Reflection;
using Microsoft.AspNetCore.Http;
using QueueMaaS.Contracts;

namespace QueueMaaS.Api.Hosting;

/// <summary>Who is calling, as the gate found out: a parameter of every route that shows or changes what belongs to a tenant.</summary>
/// <param name="Tenant">Whose jobs it sees.</param>
/// <param name="Name">What stands in the history for what it does.</param>
/// <param name="Scopes">What it may do.</param>
public sealed record Caller(string Tenant, string Name, IReadOnlyList<string> Scopes)
{
    /// <summary>Whether it sees to the whole deployment: what the administrators of the tenant <c>default</c> do.</summary>
    public bool IsOperator => Tenant == AccessClaims.DefaultTenant;

    /// <exception cref="ProblemException"><c>tenant_forbidden</c>: what it wants concerns all tenants.</exception>
    public void RequireOperator(string what)
    {
        if (!IsOperator)
            throw new ProblemException(ProblemCodes.TenantForbidden, $"{what} concerns all tenants. It takes a key of an administrator of the tenant `{AccessClaims.DefaultTenant}`.");
    }

    public static ValueTask<Caller> BindAsync(HttpContext httpContext, ParameterInfo parameter)
    {
        ArgumentNullException.ThrowIfNull(httpContext);
        return new(new Caller(AccessClaims.TenantOf(httpContext.User), AccessClaims.NameOf(httpContext.User), AccessClaims.ScopesOf(httpContext.User)));
    }
}
