namespace QueueMaaS.Inference.Batching;

/// <summary>Counts what the batchers of one model version did. Thread-safe.</summary>
internal sealed class BatchStatistics
{
    private readonly Lock _gate = new();
    private readonly SortedDictionary<int, (long Count, TimeSpan Computed)> _bySize = [];
    private long _requests;
    private long _rows;
    private long _batches;
    private long _failed;
    private TimeSpan _queued;
    private TimeSpan _computed;
    private DateTimeOffset? _last;

    public void Batch(int rows, TimeSpan computed, DateTimeOffset now)
    {
        lock (_gate)
        {
            _batches++;
            _rows += rows;
            _computed += computed;
            _last = now;
            var (count, sum) = _bySize.GetValueOrDefault(rows);
            _bySize[rows] = (count + 1, sum + computed);
        }
    }

    public void Queued(int requests, TimeSpan waited)
    {
        lock (_gate)
        {
            _requests += requests;
            _queued += waited;
        }
    }

    public void Failed()
    {
        lock (_gate)
            _failed++;
    }

    public ModelStatistics Read(string model, int version)
    {
        lock (_gate)
            return new(model, version, _requests, _rows, _batches, _failed, _queued, _computed, _last, [.. _bySize.Select(static size => new BatchSizeStatistics(size.Key, size.Value.Count, size.Value.Computed))]);
    }
}

/// <summary>What was computed for a model version since the process started.</summary>
/// <param name="Model">The model's name.</param>
/// <param name="Version">Its version.</param>
/// <param name="Requests">Requests whose computation began.</param>
/// <param name="Rows">Rows computed.</param>
/// <param name="Batches">Computations.</param>
/// <param name="Failed">Requests that failed or were refused.</param>
/// <param name="Queued">The requests' waits in the queue, added up.</param>
/// <param name="Computed">The batches' computations, added up.</param>
/// <param name="Last">When the last batch ended; null where none did.</param>
/// <param name="BySize">The same by rows of the batch.</param>
public sealed record ModelStatistics(
    string Model, int Version, long Requests, long Rows, long Batches, long Failed, TimeSpan Queued, TimeSpan Computed, DateTimeOffset? Last, IReadOnlyList<BatchSizeStatistics> BySize);

/// <summary>Batches of one size.</summary>
/// <param name="Rows">Rows of each.</param>
/// <param name="Count">How many there were.</param>
/// <param name="Computed">Their computations, added up.</param>
public sealed record BatchSizeStatistics(int Rows, long Count, TimeSpan Computed);
