using System.Reflection;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using QueueMaaS.Contracts;

namespace QueueMaaS.Api.Hosting;

/// <summary>Finds out who is calling.</summary>
public interface ICallerResolver
{
    /// <exception cref="ProblemException">The caller is not who it says.</exception>
    ValueTask<Caller> ResolveAsync(HttpContext http);
}

/// <summary>Who is calling: a parameter of every route that shows or changes what belongs to a tenant.</summary>
/// <param name="Tenant">Whose jobs it sees.</param>
/// <param name="Name">What stands in the history for what it does.</param>
public sealed record Caller(string Tenant, string Name)
{
    public static ValueTask<Caller> BindAsync(HttpContext httpContext, ParameterInfo parameter)
    {
        ArgumentNullException.ThrowIfNull(httpContext);
        return httpContext.RequestServices.GetRequiredService<ICallerResolver>().ResolveAsync(httpContext)!;
    }
}

/// <summary>Takes the caller's word for it: while no keys are configured, everybody who reaches the service is trusted.</summary>
internal sealed class TrustingCallerResolver : ICallerResolver
{
    public ValueTask<Caller> ResolveAsync(HttpContext http)
    {
        if (!http.Request.Headers.TryGetValue(BusNames.TenantHeader, out var named))
            return new(new Caller(Requests.Tenant, "user"));
        var tenant = named.ToString();
        return Identifiers.IsName(tenant)
            ? new(new Caller(tenant, "user"))
            : throw new ProblemException(ProblemCodes.InvalidValue, $"`{BusNames.TenantHeader}` must be a name: 1 to 64 of lower-case letters, digits and - _ .", ("path", BusNames.TenantHeader));
    }
}
