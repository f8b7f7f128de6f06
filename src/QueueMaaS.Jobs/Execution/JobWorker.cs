using System.Collections.Concurrent;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Life;

namespace QueueMaaS.Jobs.Execution;

/// <summary>
/// Takes pointers from the bus. Short jobs run while the delivery is held, so the broker's prefetch is the backpressure. Training and
/// batch jobs are claimed, the delivery is acknowledged, and they run on under their lease: no broker holds a delivery for hours.
/// </summary>
public sealed partial class JobWorker(
    JobRunner runner, EagerStart eager, IJobStore store, IOptions<JobOptions> options, ILogger<JobWorker> logger) : IHostedService, IDisposable
{
    private readonly SemaphoreSlim _trainingSlots = new(options.Value.TrainingSlots);
    private readonly ConcurrentDictionary<Task, byte> _running = new();
    private readonly CancellationTokenSource _stopping = new();

    public Task StartAsync(CancellationToken cancellationToken)
    {
        eager.Open(runner);
        return Task.CompletedTask;
    }

    /// <summary>Stops: short jobs may finish within the grace time, everything else is handed back without losing an attempt.</summary>
    public async Task StopAsync(CancellationToken cancellationToken)
    {
        _stopping.CancelAfter(options.Value.ShutdownGrace);
        // A training job would not finish within any grace: it is handed back at once.
        if (_trainingSlots.CurrentCount < options.Value.TrainingSlots)
            await _stopping.CancelAsync();
        await Task.WhenAll([eager.StopAsync(_stopping.Token), .. _running.Keys]);
    }

    public void Dispose()
    {
        _stopping.Dispose();
        _trainingSlots.Dispose();
    }

    /// <summary>Handles one message; when it returns the message may be acknowledged.</summary>
    public Task HandleAsync(JobKind kind, IReadOnlyList<string> ids, CancellationToken cancellationToken) =>
        kind == JobKind.Training ? TakeTrainingAsync(ids, cancellationToken) : Track(RunShortAsync(kind, ids, cancellationToken));

    private async Task RunShortAsync(JobKind kind, IReadOnlyList<string> ids, CancellationToken cancellationToken)
    {
        if (_stopping.IsCancellationRequested)
        {
            await store.PostponeDispatchAsync(ids, cancellationToken);
            return;
        }

        var claimed = await runner.ClaimAsync(ids, kind, cancellationToken);
        var runs = Task.WhenAll(claimed.Select(job => runner.RunAsync(job, _stopping.Token)));
        // A batch job waits for its chunks and a sweep for its trials, perhaps for hours: its lease, not the delivery, says that it is being worked on.
        if (kind is JobKind.Batch or JobKind.Sweep)
            _ = Track(runs);
        else
            await runs;
    }

    private async Task TakeTrainingAsync(IReadOnlyList<string> ids, CancellationToken cancellationToken)
    {
        foreach (var id in ids)
        {
            // The pointer is held for a moment only: long enough that a slot may come free, far from the broker's time-out.
            if (_stopping.IsCancellationRequested || !await _trainingSlots.WaitAsync(options.Value.TrainingPatience, cancellationToken))
                await store.PostponeDispatchAsync([id], cancellationToken);
            else
                await StartInSlotAsync(id, cancellationToken);
        }
    }

    private async Task StartInSlotAsync(string id, CancellationToken cancellationToken)
    {
        var started = false;
        try
        {
            started = await StartTrainingAsync(id, cancellationToken);
        }
        finally
        {
            if (!started)
                _trainingSlots.Release();
        }
    }

    /// <summary>Claims the job and starts it; the run keeps the slot that the caller holds.</summary>
    private async Task<bool> StartTrainingAsync(string id, CancellationToken cancellationToken)
    {
        if (await runner.ClaimAsync([id], JobKind.Training, cancellationToken) is not [var job])
            return false;
        _ = Track(Task.Run(() => TrainAsync(job), CancellationToken.None));
        return true;
    }

    private async Task TrainAsync(ClaimedJob job)
    {
        try
        {
            await runner.RunAsync(job, _stopping.Token);
        }
        catch (Exception exception)
        {
            LogEndNotStored(logger, exception, job.Job.Id);
        }

        try
        {
            // A slot is free: whatever waits longest in the table goes next, without waiting for its pointer to come round.
            while (!_stopping.IsCancellationRequested && await store.NextQueuedAsync(JobKind.Training, options.Value.AgePerPriority, _stopping.Token) is { } next)
            {
                if (await StartTrainingAsync(next, _stopping.Token))
                    return;
            }
        }
        catch (Exception exception)
        {
            LogNextFailed(logger, exception.Message);
        }

        _trainingSlots.Release();
    }

    private Task Track(Task task)
    {
        _running[task] = 0;
        _ = task.ContinueWith(ended => _running.TryRemove(ended, out _), CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        return task;
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "Job {JobId}: its end could not be stored; its lease will expire and it will be tried again")]
    private static partial void LogEndNotStored(ILogger logger, Exception exception, string jobId);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Could not look for the next training job ({Reason}); it will come over the bus")]
    private static partial void LogNextFailed(ILogger logger, string reason);
}
