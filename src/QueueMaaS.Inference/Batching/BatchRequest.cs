using QueueMaaS.Contracts;
using QueueMaaS.Inference.Tensors;

namespace QueueMaaS.Inference.Batching;

/// <summary>A request to a batcher.</summary>
public sealed record BatchRequest
{
    /// <summary>In the order of the model's inputs, all with the same number of rows.</summary>
    public required IReadOnlyList<TensorBuffer> Inputs { get; init; }
    /// <summary>Rows, at least 1.</summary>
    public required int Rows { get; init; }
    /// <summary>Requests of equal lanes may share a batch. Default: all may.</summary>
    public string Lane { get; init; } = "";
    /// <summary>0 to 9, higher first. Default 5.</summary>
    public int Priority { get; init; } = 5;
    /// <summary>When its computation must have begun. Default: after <see cref="BatcherSettings.DefaultTimeout"/>.</summary>
    public DateTimeOffset? Deadline { get; init; }
    /// <summary>True: computed after its deadline too, behind what is in time. Default: as <see cref="BatcherSettings.RunLate"/>.</summary>
    public bool? RunLate { get; init; }
    /// <summary>True where it must be computed whole and without batch-mates.</summary>
    public bool Alone { get; init; }
}

/// <summary>The answer to a <see cref="BatchRequest"/>.</summary>
/// <param name="Outputs">In the order of the model's outputs, with the request's rows only.</param>
/// <param name="Receipt">How it was computed; for a request of several parts, the largest batch and the longest times.</param>
public sealed record BatchResponse(IReadOnlyList<TensorBuffer> Outputs, BatchReceipt Receipt);

/// <summary>When a request that came now would be computed, by the measured cost of batches and by what waits.</summary>
/// <param name="Start">From now to the start of its computation.</param>
/// <param name="Finish">From now to its answer.</param>
public readonly record struct BatchEstimate(TimeSpan Start, TimeSpan Finish);
