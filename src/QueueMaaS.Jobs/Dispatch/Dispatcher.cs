using System.Collections.Concurrent;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Life;
using QueueMaaS.Jobs.Notification;
using QueueMaaS.Jobs.Tenants;

namespace QueueMaaS.Jobs.Dispatch;

/// <summary>Where pointers to queued jobs are published. An implementation returns only once the broker has confirmed the message.</summary>
public interface IDispatchQueue
{
    /// <summary>Publishes one message that points at <paramref name="ids"/>, which share kind and priority class.</summary>
    Task PublishAsync(JobKind kind, PriorityClass priority, IReadOnlyList<string> ids, CancellationToken cancellationToken);

    /// <summary>True where the queue lives in this process, so that nothing dispatched outlives it.</summary>
    bool IsInProcess { get; }
}

/// <summary>The broker's queues are one per kind and class, so that urgent work never stands behind a backlog.</summary>
public enum PriorityClass
{
    /// <summary>Priorities 0 to 2.</summary>
    Low,
    /// <summary>Priorities 3 to 6.</summary>
    Normal,
    /// <summary>Priorities 7 to 9.</summary>
    High,
}

/// <summary>Publishes pointers to accepted jobs, as many to a message as are waiting: alone and at once when idle, in packs under load. It does not wait for one message's confirm before it sends the next.</summary>
public sealed partial class Dispatcher(
    IJobStore store, IDispatchQueue queue, DispatchInbox inbox, IJobSignals signals, TenantLimits tenants, PredictedCosts costs, IOptions<JobOptions> options, TimeProvider time, ILogger<Dispatcher> logger) : BackgroundService
{
    private static readonly TimeSpan LookAnyway = TimeSpan.FromSeconds(1);
    private readonly Dictionary<(JobKind, PriorityClass), DispatchLane> _lanes = [];
    private readonly ConcurrentDictionary<string, DispatchLane> _published = new(StringComparer.Ordinal);
    private volatile bool _blocked;

    public static PriorityClass ClassOf(int priority) => priority switch { <= 2 => PriorityClass.Low, >= 7 => PriorityClass.High, _ => PriorityClass.Normal };

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (queue.IsInProcess)
            await store.ForgetDispatchesAsync(stoppingToken);
        using var subscription = signals.Subscribe(OnChange);
        var looked = time.GetTimestamp();
        while (!stoppingToken.IsCancellationRequested)
        {
            while (inbox.TryTake(out var pointer))
                Lane(pointer).Add(pointer, tenants.Of(pointer.Tenant).Weight, costs.Of(pointer));
            foreach (var lane in _lanes.Values)
                Publish(lane, stoppingToken);
            if (time.GetElapsedTime(looked) > LookAnyway)
            {
                looked = time.GetTimestamp();
                await LookAsync(stoppingToken);
            }

            // Claims matter only where they make room for what waits.
            _blocked = _lanes.Values.Any(lane => lane.Waiting > 0);
            await inbox.WaitAsync(LookAnyway, stoppingToken);
        }
    }

    private void OnChange(JobChange change)
    {
        if (change.State != JobState.Queued)
            Leave(change.Id);
    }

    private void Leave(string id)
    {
        if (!_published.TryRemove(id, out var lane))
            return;
        lane.Leave();
        if (_blocked)
            inbox.Ring();
    }

    private DispatchLane Lane(JobPointer pointer)
    {
        var key = (pointer.Kind, ClassOf(pointer.Priority));
        if (!_lanes.TryGetValue(key, out var lane))
            _lanes[key] = lane = new DispatchLane(key.Kind, key.Item2, options.Value.DispatchWindow, options.Value.AgePerPriority, PredictedCosts.Guess(key.Kind) * PackSize(key.Kind));
        return lane;
    }

    private void Publish(DispatchLane lane, CancellationToken stoppingToken)
    {
        while (lane.Take(PackSize(lane.Kind)) is { Count: > 0 } ids)
        {
            foreach (var id in ids)
            {
                // One that is sent again is counted once.
                if (_published.TryAdd(id, lane))
                    lane.Enter();
            }

            _ = PublishAsync(lane.Kind, lane.Priority, ids, stoppingToken);
        }
    }

    private async Task PublishAsync(JobKind kind, PriorityClass priority, List<string> ids, CancellationToken stoppingToken)
    {
        try
        {
            await queue.PublishAsync(kind, priority, ids, stoppingToken);
        }
        catch (Exception exception) when (exception is not OperationCanceledException || !stoppingToken.IsCancellationRequested)
        {
            LogDispatchFailed(logger, ids.Count, exception.Message);
            await GiveBackAsync(ids, stoppingToken);
        }
        catch (OperationCanceledException)
        {
            // Shutdown: the sweeper of another process, or of the next start, comes back to them.
        }
    }

    private async Task GiveBackAsync(List<string> ids, CancellationToken stoppingToken)
    {
        foreach (var id in ids)
            Leave(id);
        try
        {
            await store.PostponeDispatchAsync(ids, stoppingToken);
        }
        catch (Exception exception) when (!stoppingToken.IsCancellationRequested)
        {
            LogDispatchFailed(logger, ids.Count, exception.Message);
        }
    }

    /// <summary>Signals can be lost; what the table says makes room too.</summary>
    private async Task LookAsync(CancellationToken stoppingToken)
    {
        if (!_lanes.Values.Any(lane => lane.Waiting > 0))
            return;
        try
        {
            var published = _published.Keys.ToArray();
            var queued = await store.StillQueuedAsync(published, stoppingToken);
            foreach (var id in published.Where(id => !queued.Contains(id)))
                Leave(id);
        }
        catch (Exception exception) when (!stoppingToken.IsCancellationRequested)
        {
            LogLookFailed(logger, exception.Message);
        }
    }

    // Training, batch and chunk jobs are long: packed together, they would run one after the other on one worker.
    private int PackSize(JobKind kind) => kind == JobKind.Inference ? options.Value.PackSize : 1;

    [LoggerMessage(Level = LogLevel.Warning, Message = "Could not dispatch {Count} jobs ({Reason}); they stay in the table and will be dispatched again")]
    private static partial void LogDispatchFailed(ILogger logger, int count, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Could not look which jobs still wait ({Reason})")]
    private static partial void LogLookFailed(ILogger logger, string reason);
}
