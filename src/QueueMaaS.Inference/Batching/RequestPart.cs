using QueueMaaS.Inference.Tensors;

namespace QueueMaaS.Inference.Batching;

/// <summary>A part of a request as it stands in the queue; most requests have one.</summary>
internal sealed class RequestPart(PendingRequest owner, int index, BatchMember member, bool alone, TimeSpan? deadline, bool runLate)
    : QueueEntry(owner.Request.Lane, member.Rows, owner.Request.Priority, deadline, alone, Size(member.Inputs), runLate)
{
    public PendingRequest Owner { get; } = owner;

    public int Index { get; } = index;

    public BatchMember Member { get; } = member;

    /// <summary>The batch that computes it.</summary>
    public BatchStop? Stop { get; set; }

    private static long Size(IReadOnlyList<TensorBuffer> inputs)
    {
        var bytes = 0L;
        for (var i = 0; i < inputs.Count; i++)
            bytes += inputs[i].MemoryBytes;
        return bytes;
    }
}

/// <summary>Stops a running batch when the last of those who wait for it has gone away.</summary>
[System.Diagnostics.CodeAnalysis.SuppressMessage("Design", "CA1001", Justification = "The source has no timer and no handle, and who uses it last is not known: it needs no disposal.")]
internal sealed class BatchStop(int waiting)
{
    private readonly CancellationTokenSource _source = new();
    private int _waiting = waiting;

    public CancellationToken Token => _source.Token;

    public void OneLess()
    {
        if (Interlocked.Decrement(ref _waiting) == 0)
            _source.Cancel();
    }
}
