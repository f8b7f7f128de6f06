using System.Threading.Channels;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Life;

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

/// <summary>Publishes pointers to accepted jobs, as many to a message as are waiting: alone and at once when idle, in packs under load.</summary>
public sealed partial class Dispatcher(IJobStore store, IDispatchQueue queue, IOptions<JobOptions> options, ILogger<Dispatcher> logger) : BackgroundService
{
    private readonly Channel<JobPointer> _waiting = Channel.CreateUnbounded<JobPointer>(new UnboundedChannelOptions { SingleReader = true });

    public static PriorityClass ClassOf(int priority) => priority switch { <= 2 => PriorityClass.Low, >= 7 => PriorityClass.High, _ => PriorityClass.Normal };

    /// <summary>Takes over the pointer of a committed, queued job. Never fails: what cannot be published stays undispatched in the table and the sweeper comes back to it.</summary>
    public void Add(JobPointer pointer) => _waiting.Writer.TryWrite(pointer);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (queue.IsInProcess)
            await store.ForgetDispatchesAsync(stoppingToken);
        var pointers = new List<JobPointer>();
        while (await _waiting.Reader.WaitToReadAsync(stoppingToken))
        {
            pointers.Clear();
            while (pointers.Count < 1024 && _waiting.Reader.TryRead(out var pointer))
                pointers.Add(pointer);
            await DispatchAsync(pointers, stoppingToken);
        }
    }

    private async Task DispatchAsync(List<JobPointer> pointers, CancellationToken stoppingToken)
    {
        try
        {
            var packs = pointers
                .GroupBy(pointer => (pointer.Kind, Class: ClassOf(pointer.Priority)))
                .SelectMany(lane => lane.Select(pointer => pointer.Id).Chunk(PackSize(lane.Key.Kind)).Select(ids => (lane.Key.Kind, lane.Key.Class, Ids: ids)));
            await Task.WhenAll(packs.Select(pack => queue.PublishAsync(pack.Kind, pack.Class, pack.Ids, stoppingToken)));
            await store.MarkDispatchedAsync([.. pointers.Select(pointer => pointer.Id)], stoppingToken);
        }
        catch (Exception exception) when (exception is not OperationCanceledException || !stoppingToken.IsCancellationRequested)
        {
            LogDispatchFailed(logger, pointers.Count, exception.Message);
        }
    }

    // Training, batch and chunk jobs are long: packed together, they would run one after the other on one worker.
    private int PackSize(JobKind kind) => kind == JobKind.Inference ? options.Value.PackSize : 1;

    [LoggerMessage(Level = LogLevel.Warning, Message = "Could not dispatch {Count} jobs ({Reason}); they stay in the table and will be dispatched again")]
    private static partial void LogDispatchFailed(ILogger logger, int count, string reason);
}
