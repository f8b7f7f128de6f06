using QueueMaaS.Training.Export;
using TorchSharp;
using static TorchSharp.torch.nn;

namespace QueueMaaS.Training.Specification.Layers;

/// <summary>Lays everything but the batch axis out in one row.</summary>
public sealed record FlattenLayer : SingleInputLayer
{
    /// <inheritdoc/>
    public override string Description => "flatten";

    /// <inheritdoc/>
    public override bool TakesHalf => true;

    /// <inheritdoc/>
    protected override TensorShape Infer(TensorShape input) => input.Count <= int.MaxValue ? TensorShape.Row((int)input.Count) : throw new LayerShapeException($"at most {int.MaxValue:N0} numbers");

    /// <inheritdoc/>
    protected override torch.Tensor Forward(LayerRun run, torch.Tensor input) => input.flatten(1);

    /// <inheritdoc/>
    protected override string Write(OnnxGraphWriter graph, string input, TensorShape shape) => graph.Node("Flatten", [input], OnnxAttribute.Int("axis", 1));
}
