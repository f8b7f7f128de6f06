using QueueMaaS.Training.Export;
using TorchSharp;

namespace QueueMaaS.Training.Specification.Layers;

/// <summary>max(x, 0).</summary>
public sealed record ReluLayer : LayerSpecification
{
    /// <inheritdoc/>
    public override string Description => "relu";

    /// <inheritdoc/>
    public override TensorShape Infer(TensorShape input) => input;

    /// <inheritdoc/>
    public override torch.nn.Module<torch.Tensor, torch.Tensor> CreateModule(TensorShape input, Random random) => torch.nn.ReLU();

    /// <inheritdoc/>
    public override void Write(OnnxGraphWriter graph, torch.nn.Module<torch.Tensor, torch.Tensor> module)
    {
        ArgumentNullException.ThrowIfNull(graph);
        graph.Add("Relu", []);
    }
}
