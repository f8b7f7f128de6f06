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

    /// <summary>Whether no pointer waits in that queue, because workers took all of them or because it was lost. Never where the queue lives in this process.</summary>
    Task<bool> IsEmptyAsync(JobKind kind, PriorityClass priority, CancellationToken cancellationToken);

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

/// <summary>Publishes pointers to accepted jobs, as many to a message as are waiting: alone and at once when idle, in packs under load.</summary>
public sealed partial class Dispatcher(
    IJobStore store, IDispatchQueue queue, DispatchInbox inbox, IJobSignals signals, TenantLimits tenants, PredictedCosts costs, IOptions<JobOptions> options, TimeProvider time, ILogger<Dispatcher> logger) : BackgroundService
{
    private static readonly TimeSpan LookAnyway = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LostAfter = TimeSpan.FromSeconds(5);
    private const int MostDoublings = 6;
    private readonly Dictionary<(JobKind, PriorityClass), DispatchLane> _lanes = [];
    private readonly ConcurrentDictionary<string, Sent> _published = new(StringComparer.Ordinal);
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
            {
                if (!Lane(pointer).Add(pointer, tenants.Of(pointer.Tenant).Weight, costs.Of(pointer)))
                    inbox.Leave(pointer.Kind);
            }

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
        if (change.TakesPointer)
            Leave(change.Id);
    }

    private void Leave(string id)
    {
        if (!_published.TryRemove(id, out var sent))
            return;
        sent.Lane.Leave();
        inbox.Leave(sent.Lane.Kind);
        // Where a pack is under way its confirm rings.
        if (_blocked && !sent.Lane.IsSending)
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
                if (_published.TryAdd(id, new Sent(lane, time.GetTimestamp(), 1)))
                    lane.Enter();
                else
                    inbox.Leave(lane.Kind);
            }

            _ = PublishAsync(lane, ids, stoppingToken);
        }
    }

    private async Task PublishAsync(DispatchLane lane, List<string> ids, CancellationToken stoppingToken)
    {
        lane.Send();
        try
        {
            await queue.PublishAsync(lane.Kind, lane.Priority, ids, stoppingToken);
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
        finally
        {
            // What came meanwhile has waited for this.
            lane.Sent();
            inbox.Ring();
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

    /// <summary>Signals can be lost; what the table says makes room too, and lets new jobs start where they are accepted.</summary>
    private async Task LookAsync(CancellationToken stoppingToken)
    {
        if (_published.IsEmpty)
            return;
        try
        {
            var published = _published.Keys.ToArray();
            var queued = await store.StillQueuedAsync(published, stoppingToken);
            foreach (var id in published.Where(id => !queued.Contains(id)))
                Leave(id);
            foreach (var lane in _lanes.Values.Where(lane => lane.Waiting > 0))
                await SendLostAsync(lane, stoppingToken);
        }
        catch (Exception exception) when (!stoppingToken.IsCancellationRequested)
        {
            LogLookFailed(logger, exception.Message);
        }
    }

    /// <summary>
    /// A queue that was deleted takes its pointers with it, and what was in it would count as being there, and hold up what waits, for ever. Between a worker's taking a pointer and its
    /// claim nobody can see it either, so it has to be so twice, and each pointer is given more time with each time it was sent.
    /// </summary>
    private async Task SendLostAsync(DispatchLane lane, CancellationToken stoppingToken)
    {
        var wasEmpty = lane.IsEmptyInBroker;
        lane.IsEmptyInBroker = await queue.IsEmptyAsync(lane.Kind, lane.Priority, stoppingToken);
        if (!wasEmpty || !lane.IsEmptyInBroker)
            return;
        var lost = new List<string>();
        foreach (var (id, sent) in _published)
        {
            if (sent.Lane == lane && time.GetElapsedTime(sent.At) > LostAfter * (1 << Math.Min(sent.Times - 1, MostDoublings)) && _published.TryUpdate(id, sent with { At = time.GetTimestamp(), Times = sent.Times + 1 }, sent))
                lost.Add(id);
        }

        if (lost.Count == 0)
            return;
        LogSentAgain(logger, lost.Count, lane.Kind);
        foreach (var ids in lost.Chunk(PackSize(lane.Kind)))
            _ = PublishAsync(lane, [.. ids], stoppingToken);
    }

    // Training, batch and chunk jobs are long: packed together, they would run one after the other on one worker.
    private int PackSize(JobKind kind) => kind == JobKind.Inference ? options.Value.PackSize : 1;

    [LoggerMessage(Level = LogLevel.Warning, Message = "Could not dispatch {Count} jobs ({Reason}); they stay in the table and will be dispatched again")]
    private static partial void LogDispatchFailed(ILogger logger, int count, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The broker's queue is empty, and {Count} {Kind} jobs whose pointers were sent to it are not claimed; they are sent again")]
    private static partial void LogSentAgain(ILogger logger, int count, JobKind kind);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Could not look which jobs still wait ({Reason})")]
    private static partial void LogLookFailed(ILogger logger, string reason);

    /// <summary>A pointer that is in the broker, as far as this process knows.</summary>
    private sealed record Sent(DispatchLane Lane, long At, int Times);
}
