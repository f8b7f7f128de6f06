using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using QueueMaaS.Jobs.Estimation;
using QueueMaaS.Jobs.Execution;

namespace QueueMaaS.Inference.Jobs;

/// <summary>Tells every second how busy this worker's models are, for the estimates that jobs are shown with.</summary>
internal sealed partial class LoadReporter(IModelHost host, ILoadBoard board, WorkerIdentity worker, TimeProvider time, ILogger<LoadReporter> logger) : BackgroundService
{
    private static readonly TimeSpan Every = TimeSpan.FromSeconds(1);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Every, time);
        while (await timer.WaitForNextTickAsync(stoppingToken))
        {
            try
            {
                if (host.Loads(time.GetUtcNow()) is { Count: > 0 } loads)
                    await board.PutAsync(worker.Name, loads, stoppingToken);
            }
            catch (Exception exception) when (exception is not OperationCanceledException)
            {
                // Estimates are a courtesy; a board that is away must not stop the worker.
                LogFailed(logger, exception.Message);
            }
        }
    }

    [LoggerMessage(Level = LogLevel.Debug, Message = "The load could not be reported ({Reason}); jobs are shown without estimates for a moment")]
    private static partial void LogFailed(ILogger logger, string reason);
}
