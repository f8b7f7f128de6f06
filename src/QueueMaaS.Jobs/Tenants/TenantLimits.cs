using Microsoft.Extensions.Options;

namespace QueueMaaS.Jobs.Tenants;

/// <summary>Looks up what a tenant may use.</summary>
public sealed class TenantLimits
{
    private const string Others = "*";
    private static readonly TenantOptions Free = new();
    private readonly TenantsOptions _tenants;

    public TenantLimits(IOptions<TenantsOptions> options)
    {
        ArgumentNullException.ThrowIfNull(options);
        _tenants = options.Value;
        Running = (_tenants.Where(entry => entry.Key != Others && entry.Value.MaxRunning is not null).ToDictionary(entry => entry.Key, entry => entry.Value.MaxRunning!.Value, StringComparer.Ordinal), Of(Others).MaxRunning);
    }

    /// <summary>How many jobs may run at the same time: of tenants with a limit of their own, and of every other.</summary>
    public (IReadOnlyDictionary<string, int> ByTenant, int? Others) Running { get; }

    public TenantOptions Of(string tenant) => _tenants.TryGetValue(tenant, out var own) || _tenants.TryGetValue(Others, out own) ? own : Free;
}
