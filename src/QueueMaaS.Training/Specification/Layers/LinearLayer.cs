using QueueMaaS.Training.Export;
using TorchSharp;

namespace QueueMaaS.Training.Specification.Layers;

/// <summary>A dense layer with a bias.</summary>
/// <param name="Out">Output features.</param>
public sealed record LinearLayer(int Out) : LayerSpecification
{
    /// <inheritdoc/>
    public override string Description => $"linear({Out})";

    /// <inheritdoc/>
    public override TensorShape Infer(TensorShape input)
    {
        ArgumentNullException.ThrowIfNull(input);
        return input.Sizes.Count == 1 ? TensorShape.Row(Out) : throw new LayerShapeException("one row of features; put a flatten before it");
    }

    /// <inheritdoc/>
    public override torch.nn.Module<torch.Tensor, torch.Tensor> CreateModule(TensorShape input, Random random)
    {
        ArgumentNullException.ThrowIfNull(input);
        var module = torch.nn.Linear(input.Sizes[0], Out);
        var bound = 1 / Math.Sqrt(input.Sizes[0]);
        InitialWeights.Uniform(module.weight, bound, random);
        InitialWeights.Uniform(module.bias!, bound, random);
        return module;
    }

    /// <inheritdoc/>
    public override void Write(OnnxGraphWriter graph, torch.nn.Module<torch.Tensor, torch.Tensor> module)
    {
        ArgumentNullException.ThrowIfNull(graph);
        var linear = (TorchSharp.Modules.Linear)module;
        graph.Add("Gemm", [graph.Weight("weight", linear.weight), graph.Weight("bias", linear.bias!)], OnnxAttribute.Int("transB", 1));
    }
}
