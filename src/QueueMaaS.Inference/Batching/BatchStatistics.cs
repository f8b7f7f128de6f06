using QueueMaaS.Contracts;

namespace QueueMaaS.Inference.Batching;

/// <summary>Counts what the batchers of one model version did, and what was answered beside them. Thread-safe.</summary>
internal sealed class BatchStatistics
{
    private readonly Lock _gate = new();
    private readonly SortedDictionary<int, TimedCount> _bySize = [];
    private long _rows;
    private long _batches;
    private TimedCount _succeeded;
    private TimedCount _failed;
    private TimedCount _queued;
    private TimedCount _computed;
    private TimedCount _reused;
    private TimedCount _notReused;
    private DateTimeOffset? _last;

    /// <summary>A batch was computed.</summary>
    public void Batch(int rows, TimeSpan computed)
    {
        lock (_gate)
        {
            _batches++;
            _bySize[rows] = _bySize.GetValueOrDefault(rows).And(computed);
        }
    }

    /// <summary>A request is answered by a computation, which it waited for and had a part in.</summary>
    public void Succeeded(int rows, BatchReceipt receipt, DateTimeOffset now)
    {
        var (queued, computed) = (TimeSpan.FromMilliseconds(receipt.QueuedMs), TimeSpan.FromMilliseconds(receipt.ComputeMs));
        lock (_gate)
        {
            _rows += rows;
            _succeeded = _succeeded.And(queued + computed);
            _queued = _queued.And(queued);
            _computed = _computed.And(computed);
            _last = now;
        }
    }

    /// <summary>A request is answered by what was computed for an identical one.</summary>
    public void Reused(TimeSpan took, DateTimeOffset now)
    {
        lock (_gate)
        {
            _succeeded = _succeeded.And(took);
            // It waited in no queue, and is one of those that the queue let by.
            _queued = _queued.And(TimeSpan.Zero);
            _reused = _reused.And(took);
            _last = now;
        }
    }

    /// <summary>An identical request was looked for in vain; the time is that of looking and of keeping the answer.</summary>
    public void NotReused(TimeSpan took)
    {
        lock (_gate)
            _notReused = _notReused.And(took);
    }

    /// <summary>A request failed or was refused.</summary>
    public void Failed(TimeSpan after)
    {
        lock (_gate)
            _failed = _failed.And(after);
    }

    public ModelStatistics Read(string model, int version)
    {
        lock (_gate)
        {
            return new(model, version)
            {
                Rows = _rows,
                Batches = _batches,
                Last = _last,
                Succeeded = _succeeded,
                Failed = _failed,
                Queued = _queued,
                Computed = _computed,
                Reused = _reused,
                NotReused = _notReused,
                BySize = [.. _bySize.Select(static size => new BatchSizeStatistics(size.Key, size.Value))],
            };
        }
    }
}

/// <summary>How often something was, and the time that it took, added up.</summary>
public readonly record struct TimedCount(long Count, TimeSpan Time)
{
    internal TimedCount And(TimeSpan time) => new(Count + 1, Time + time);
}

/// <summary>What a model version did since the process started.</summary>
/// <param name="Model">The model's name.</param>
/// <param name="Version">Its version.</param>
public sealed record ModelStatistics(string Model, int Version)
{
    /// <summary>Rows of the requests that were answered by a computation.</summary>
    public long Rows { get; init; }
    /// <summary>Computations.</summary>
    public long Batches { get; init; }
    /// <summary>When the last request was answered; null where none was.</summary>
    public DateTimeOffset? Last { get; init; }
    /// <summary>Requests answered, by a computation or by an identical request's.</summary>
    public TimedCount Succeeded { get; init; }
    /// <summary>Requests that failed or were refused.</summary>
    public TimedCount Failed { get; init; }
    /// <summary>Of those answered: their waits in the queue.</summary>
    public TimedCount Queued { get; init; }
    /// <summary>Of those answered by a computation: its time, for each of the requests that had a part in it.</summary>
    public TimedCount Computed { get; init; }
    /// <summary>Requests answered by what was computed for an identical one: kept, or under way.</summary>
    public TimedCount Reused { get; init; }
    /// <summary>Requests that were computed because there was no identical one, of versions that look for those.</summary>
    public TimedCount NotReused { get; init; }
    /// <summary>Computations by their rows.</summary>
    public IReadOnlyList<BatchSizeStatistics> BySize { get; init; } = [];
}

/// <summary>Batches of one size.</summary>
/// <param name="Rows">Rows of each.</param>
/// <param name="Computed">Their computations.</param>
public sealed record BatchSizeStatistics(int Rows, TimedCount Computed);
