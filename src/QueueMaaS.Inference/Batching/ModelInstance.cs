using QueueMaaS.Inference.Tensors;

namespace QueueMaaS.Inference.Batching;

/// <summary>One member of a batch: the inputs of a request, or of a part of one.</summary>
/// <param name="Inputs">In the order of the model's inputs, each with <paramref name="Rows"/> rows on its first axis (except where the model takes no batches).</param>
/// <param name="Rows">Its rows.</param>
public readonly record struct BatchMember(IReadOnlyList<TensorBuffer> Inputs, int Rows);

/// <summary>Something that computes batches, one at a time. The batcher never calls it from two threads at once.</summary>
public interface IModelInstance : IDisposable
{
    /// <summary>
    /// Computes <paramref name="members"/> together and gives the model's outputs for all of them: the rows of the first member first.
    /// </summary>
    /// <param name="members">At least one; all have inputs of the same datatypes and sizes per row.</param>
    /// <param name="stop">Set when nobody waits for the result any more.</param>
    /// <exception cref="Exception">The computation failed. The batcher finds the culprit by computing halves.</exception>
    IReadOnlyList<TensorBuffer> Run(IReadOnlyList<BatchMember> members, CancellationToken stop);
}
