using System.ComponentModel.DataAnnotations;

namespace QueueMaaS.Jobs.Tenants;

/// <summary>What each tenant may use (configuration section <c>Tenants</c>, one entry for each tenant's name; <c>*</c> for all that have none of their own).</summary>
public sealed class TenantsOptions : Dictionary<string, TenantOptions>
{
    public const string Section = "Tenants";

    public TenantsOptions()
        : base(StringComparer.Ordinal)
    {
    }
}

/// <summary>One tenant's share and limits.</summary>
public sealed class TenantOptions
{
    /// <summary>Its share of the workers while others wait too, compared with theirs. Default 1.</summary>
    [Range(0.01, 100)]
    public double Weight { get; set; } = 1;

    /// <summary>Most jobs that wait (scheduled, queued, retrying); beyond it submissions are refused with <c>quota_exceeded</c> (429). Default: no limit.</summary>
    [Range(1, int.MaxValue)]
    public int? MaxWaiting { get; set; }

    /// <summary>Most jobs that run at the same time, over all workers; the others wait. Default: no limit.</summary>
    [Range(1, int.MaxValue)]
    public int? MaxRunning { get; set; }

    /// <summary>Submissions a second, over a longer time, that each process of the service takes; beyond it they are refused with <c>rate_limited</c> (429); a message on the bus is put aside as unprocessable, to be replayed. Default: no limit.</summary>
    [Range(0.01, 1_000_000)]
    public double? SubmissionsPerSecond { get; set; }

    /// <summary>Submissions taken at once before <see cref="SubmissionsPerSecond"/> holds. Default: one second's worth, at least 1.</summary>
    [Range(1, int.MaxValue)]
    public int? Burst { get; set; }
}
