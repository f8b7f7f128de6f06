using QueueMaaS.Training.Export;
using TorchSharp;
using static TorchSharp.torch.nn;

namespace QueueMaaS.Training.Specification.Layers;

/// <summary>Adds a learned vector for each place of a sequence.</summary>
public sealed record PositionLayer : SingleInputLayer
{
    /// <inheritdoc/>
    public override string Description => "position";

    /// <inheritdoc/>
    protected override TensorShape Infer(TensorShape input) => input.IsSequence ? input : throw new LayerShapeException("length × features");

    /// <inheritdoc/>
    protected override IReadOnlyList<WeightSpecification> Weights(TensorShape input) => [new("weight", [input.Sizes[0], input.Sizes[1]], WeightRole.Weight, FirstValues.Normal(0.02))];

    /// <inheritdoc/>
    protected override torch.Tensor Forward(LayerRun run, torch.Tensor input) => input.add(run["weight"]);

    /// <inheritdoc/>
    protected override string Write(OnnxGraphWriter graph, string input, TensorShape shape) => graph.Node("Add", [input, graph.Weight("weight")]);
}
