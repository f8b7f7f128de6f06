using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Options;
using QueueMaaS.Api.Health;
using QueueMaaS.Jobs.Settings;
using QueueMaaS.Storage;

namespace QueueMaaS.Health;

/// <summary>Whether there is room where data sets, models and results are written.</summary>
internal sealed class DiskHealth(IOptions<StorageOptions> storage, CurrentOptions<HealthOptions> options) : IHealthCheck
{
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        try
        {
            var folder = Directory.CreateDirectory(storage.Value.DataFolder).FullName;
            var free = new DriveInfo(folder).AvailableFreeSpace;
            var data = new Dictionary<string, object> { [HealthJournal.DiskFree] = (double)free };
            return Task.FromResult(free >= options.Value.MinFreeBytes
                ? HealthCheckResult.Healthy(data: data)
                : HealthCheckResult.Degraded($"The disk of the data folder is nearly full: {Size(free)} free, less than Health:MinFreeBytes ({Size(options.Value.MinFreeBytes)}). Uploads, trainings and results fail once it is full: shorten Jobs:Retention, delete data sets and models, or give it more room.", data: data));
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return Task.FromResult(HealthCheckResult.Unhealthy($"The data folder cannot be used ({exception.GetType().Name}): see Storage:DataFolder and who owns it.", exception));
        }
    }

    internal static string Size(long bytes) => bytes switch
    {
        >= 1L << 30 => $"{bytes / (double)(1L << 30):0.#} GiB",
        >= 1L << 20 => $"{bytes / (double)(1L << 20):0.#} MiB",
        _ => $"{bytes} B",
    };
}
