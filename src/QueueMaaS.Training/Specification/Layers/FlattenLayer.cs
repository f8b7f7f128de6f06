using QueueMaaS.Training.Export;
using TorchSharp;

namespace QueueMaaS.Training.Specification.Layers;

/// <summary>Lays everything but the batch axis out in one row.</summary>
public sealed record FlattenLayer : LayerSpecification
{
    /// <inheritdoc/>
    public override string Description => "flatten";

    /// <inheritdoc/>
    public override TensorShape Infer(TensorShape input)
    {
        ArgumentNullException.ThrowIfNull(input);
        return input.Count <= int.MaxValue ? TensorShape.Row((int)input.Count) : throw new LayerShapeException($"at most {int.MaxValue:N0} numbers");
    }

    /// <inheritdoc/>
    public override torch.nn.Module<torch.Tensor, torch.Tensor> CreateModule(TensorShape input, Random random) => torch.nn.Flatten();

    /// <inheritdoc/>
    public override void Write(OnnxGraphWriter graph, torch.nn.Module<torch.Tensor, torch.Tensor> module)
    {
        ArgumentNullException.ThrowIfNull(graph);
        graph.Add("Flatten", [], OnnxAttribute.Int("axis", 1));
    }
}
