using QueueMaaS.Training.Export;
using TorchSharp;
using static TorchSharp.torch.nn;

namespace QueueMaaS.Training.Specification.Layers;

/// <summary>The product of its two inputs, number by number; the second may have height and width 1 (a gate for each channel, arXiv 1709.01507).</summary>
public sealed record MultiplyLayer : LayerSpecification
{
    /// <inheritdoc/>
    public override string Description => "multiply";

    /// <inheritdoc/>
    public override bool TakesHalf => true;

    /// <inheritdoc/>
    public override (int Least, int Most) InputCount => (2, 2);

    /// <inheritdoc/>
    public override TensorShape Infer(IReadOnlyList<TensorShape> inputs)
    {
        ArgumentNullException.ThrowIfNull(inputs);
        var gate = inputs[0].IsImage && inputs[1].IsImage && inputs[1].Sizes[0] == inputs[0].Sizes[0] && inputs[1].Sizes[1] == 1 && inputs[1].Sizes[2] == 1;
        return gate || inputs[0].SameSizes(inputs[1]) ? inputs[0] : throw new LayerShapeException("two inputs of one shape, or a second one of channels × 1 × 1");
    }

    /// <inheritdoc/>
    public override torch.Tensor Forward(LayerRun run, IReadOnlyList<torch.Tensor> inputs)
    {
        ArgumentNullException.ThrowIfNull(inputs);
        return inputs[0].mul(inputs[1]);
    }

    /// <inheritdoc/>
    public override string Write(OnnxGraphWriter graph, IReadOnlyList<string> inputs, IReadOnlyList<TensorShape> shapes)
    {
        ArgumentNullException.ThrowIfNull(graph);
        return graph.Node("Mul", inputs);
    }
}
