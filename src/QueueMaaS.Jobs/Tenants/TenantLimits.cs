using QueueMaaS.Jobs.Settings;

namespace QueueMaaS.Jobs.Tenants;

/// <summary>Looks up what a tenant may use, by the settings that hold now.</summary>
public sealed class TenantLimits(CurrentOptions<TenantsOptions> options)
{
    private const string Others = "*";
    private static readonly TenantOptions Free = new();
    private RunningLimits? _running;

    /// <summary>How many jobs may run at the same time: of tenants with a limit of their own, and of every other.</summary>
    public (IReadOnlyDictionary<string, int> ByTenant, int? Others) Running
    {
        get
        {
            var tenants = options.Value;
            if (_running is not { } running || running.Of != tenants)
                _running = running = new RunningLimits(tenants, tenants.Where(entry => entry.Key != Others && entry.Value.MaxRunning is not null).ToDictionary(entry => entry.Key, entry => entry.Value.MaxRunning!.Value, StringComparer.Ordinal));
            return (running.ByTenant, Of(Others).MaxRunning);
        }
    }

    public TenantOptions Of(string tenant) => options.Value.TryGetValue(tenant, out var own) || options.Value.TryGetValue(Others, out own) ? own : Free;

    private sealed record RunningLimits(TenantsOptions Of, IReadOnlyDictionary<string, int> ByTenant);
}
