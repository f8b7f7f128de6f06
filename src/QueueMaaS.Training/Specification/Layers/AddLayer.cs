using QueueMaaS.Training.Export;
using TorchSharp;
using static TorchSharp.torch.nn;

namespace QueueMaaS.Training.Specification.Layers;

/// <summary>The sum of its inputs, which have one shape: the meeting of a residual branch.</summary>
public sealed record AddLayer : LayerSpecification
{
    /// <inheritdoc/>
    public override string Description => "add";

    /// <inheritdoc/>
    public override bool TakesHalf => true;

    /// <inheritdoc/>
    public override (int Least, int Most) InputCount => (2, 16);

    /// <inheritdoc/>
    public override TensorShape Infer(IReadOnlyList<TensorShape> inputs)
    {
        ArgumentNullException.ThrowIfNull(inputs);
        return inputs.All(i => i.SameSizes(inputs[0])) ? inputs[0] : throw new LayerShapeException("inputs of one shape");
    }

    /// <inheritdoc/>
    public override torch.Tensor Forward(LayerRun run, IReadOnlyList<torch.Tensor> inputs) => inputs.Skip(1).Aggregate(inputs[0], (sum, input) => sum.add(input));

    /// <inheritdoc/>
    public override string Write(OnnxGraphWriter graph, IReadOnlyList<string> inputs, IReadOnlyList<TensorShape> shapes)
    {
        ArgumentNullException.ThrowIfNull(graph);
        return inputs.Skip(1).Aggregate(inputs[0], (sum, input) => graph.Node("Add", [sum, input]));
    }
}
