using QueueMaaS.Inference.Preparation.Images;
using QueueMaaS.Inference.Tensors;

namespace QueueMaaS.Inference.Preparation;

/// <summary>A request whose tensors are read, checked and ready to be batched.</summary>
/// <param name="Inputs">In the order of the model's inputs.</param>
/// <param name="Rows">Their rows; 0 is allowed. 1 where the model has no batch axis.</param>
/// <param name="Lane">Requests of equal lanes may share a batch: their sizes after the first axis are the same.</param>
/// <param name="Batchable">False where the model has no batch axis or the request no rows: it is computed by itself.</param>
/// <param name="FromPipeline">True where a pipeline made it of an image, rows or texts: the answer is then what the pipeline makes of the outputs, where it makes something of them.</param>
public sealed record PreparedRequest(IReadOnlyList<TensorBuffer> Inputs, int Rows, string Lane, bool Batchable, bool FromPipeline)
{
    /// <summary>Where its image lies in the model's input; null where it has none.</summary>
    public ImagePlacement? Placement { get; init; }
    /// <summary>Its own length along the ragged axis, where it was padded to a greater one.</summary>
    public int? UnpaddedLength { get; init; }
}
