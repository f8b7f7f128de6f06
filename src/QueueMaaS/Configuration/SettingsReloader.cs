using Microsoft.Extensions.Primitives;
using QueueMaaS.Api.Health;
using QueueMaaS.Jobs;
using QueueMaaS.Jobs.Settings;
using QueueMaaS.Jobs.Tenants;

namespace QueueMaaS.Configuration;

/// <summary>Takes over changed settings that are safe to change while the program runs: tenants' shares and limits, how long ended jobs are kept, what counts as ill. A change that does not fit is refused as a whole, and said.</summary>
internal sealed partial class SettingsReloader(
    IConfiguration configuration, CurrentOptions<TenantsOptions> tenants, CurrentOptions<JobOptions> jobs, CurrentOptions<HealthOptions> health, ILogger<SettingsReloader> logger) : IHostedService, IDisposable
{
    private readonly Lock _reading = new();
    private IDisposable? _watch;

    public Task StartAsync(CancellationToken cancellationToken)
    {
        _watch = ChangeToken.OnChange(configuration.GetReloadToken, Read);
        return Task.CompletedTask;
    }

    public Task StopAsync(CancellationToken cancellationToken)
    {
        _watch?.Dispose();
        return Task.CompletedTask;
    }

    public void Dispose() => _watch?.Dispose();

    private void Read()
    {
        lock (_reading)
        {
            try
            {
                SettingsCheck.Refuse(configuration);
                tenants.Value = Bind<TenantsOptions>(TenantsOptions.Section);
                jobs.Value = Bind<JobOptions>(JobOptions.Section);
                health.Value = Bind<HealthOptions>(HealthOptions.Section);
                LogRead(logger);
            }
            catch (Exception exception) when (exception is Serving.SettingsException or InvalidOperationException or IOException)
            {
                LogRefused(logger, exception.Message);
            }
        }
    }

    private T Bind<T>(string section)
        where T : class, new() => configuration.GetSection(section).Get<T>() ?? new T();

    [LoggerMessage(Level = LogLevel.Information, Message = "Settings were read again: Tenants, Jobs:Retention, Health and Logging hold as they are now; others from the next start on")]
    private static partial void LogRead(ILogger logger);

    [LoggerMessage(Level = LogLevel.Error, Message = "Changed settings are refused, and those from before hold on: {Reason}")]
    private static partial void LogRefused(ILogger logger, string reason);
}
