using QueueMaaS.Training.Export;
using TorchSharp;
using static TorchSharp.torch.nn;

namespace QueueMaaS.Training.Specification.Layers;

/// <summary>Its inputs one after the other on the first axis: channels of images, features of rows.</summary>
public sealed record ConcatLayer : LayerSpecification
{
    /// <inheritdoc/>
    public override string Description => "concat";

    /// <inheritdoc/>
    public override bool TakesHalf => true;

    /// <inheritdoc/>
    public override (int Least, int Most) InputCount => (2, 64);

    /// <inheritdoc/>
    public override TensorShape Infer(IReadOnlyList<TensorShape> inputs)
    {
        ArgumentNullException.ThrowIfNull(inputs);
        if (inputs.Any(i => !i.Sizes.Skip(1).SequenceEqual(inputs[0].Sizes.Skip(1))))
            throw new LayerShapeException("inputs that differ in their first size only");
        return new([inputs.Sum(i => i.Sizes[0]), .. inputs[0].Sizes.Skip(1)]);
    }

    /// <inheritdoc/>
    public override torch.Tensor Forward(LayerRun run, IReadOnlyList<torch.Tensor> inputs) => torch.cat([.. inputs], 1);

    /// <inheritdoc/>
    public override string Write(OnnxGraphWriter graph, IReadOnlyList<string> inputs, IReadOnlyList<TensorShape> shapes)
    {
        ArgumentNullException.ThrowIfNull(graph);
        return graph.Node("Concat", inputs, OnnxAttribute.Int("axis", 1));
    }
}
