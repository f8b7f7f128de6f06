using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using QueueMaaS.Jobs.Execution;

namespace QueueMaaS.Jobs.Leasing;

/// <summary>Shows every second that this worker is there.</summary>
public sealed partial class Presence(IWorkerPresence presence, WorkerIdentity worker, TimeProvider time, ILogger<Presence> logger) : BackgroundService
{
    private static readonly TimeSpan Every = TimeSpan.FromSeconds(1);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Every, time);
        do
        {
            try
            {
                await presence.ShowAsync(worker.Name, stoppingToken);
            }
            catch (Exception exception) when (!stoppingToken.IsCancellationRequested)
            {
                LogNotShown(logger, exception.Message);
            }
        }
        while (await timer.WaitForNextTickAsync(stoppingToken));
    }

    [LoggerMessage(Level = LogLevel.Debug, Message = "This worker could not show that it is there ({Reason}); its leases speak for it meanwhile")]
    private static partial void LogNotShown(ILogger logger, string reason);
}
