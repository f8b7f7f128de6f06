using QueueMaaS.Training.Export;
using TorchSharp;
using static TorchSharp.torch.nn;

namespace QueueMaaS.Training.Specification.Layers;

/// <summary>Swaps the two axes of a sequence: length × features becomes channels × length and back.</summary>
public sealed record TransposeLayer : SingleInputLayer
{
    /// <inheritdoc/>
    public override string Description => "transpose";

    /// <inheritdoc/>
    public override bool TakesHalf => true;

    /// <inheritdoc/>
    protected override TensorShape Infer(TensorShape input) => input.IsSequence ? TensorShape.Sequence(input.Sizes[1], input.Sizes[0]) : throw new LayerShapeException("length × features or channels × length");

    /// <inheritdoc/>
    protected override torch.Tensor Forward(LayerRun run, torch.Tensor input) => input.transpose(1, 2);

    /// <inheritdoc/>
    protected override string Write(OnnxGraphWriter graph, string input, TensorShape shape) => graph.Node("Transpose", [input], OnnxAttribute.Ints("perm", 0, 2, 1));
}
