using QueueMaaS.Training.Export;
using TorchSharp;

namespace QueueMaaS.Training.Specification.Layers;

/// <summary>A two-dimensional convolution with a bias.</summary>
/// <param name="Out">Output channels.</param>
/// <param name="Kernel">Height and width of the kernel, in pixels.</param>
/// <param name="Stride">Pixels between two positions of the kernel.</param>
/// <param name="Padding">Zeros added on each side.</param>
public sealed record Conv2dLayer(int Out, int Kernel, int Stride = 1, int Padding = 0) : LayerSpecification
{
    /// <inheritdoc/>
    public override string Description => $"conv2d({Out}, kernel {Kernel}{(Stride == 1 ? "" : $", stride {Stride}")}{(Padding == 0 ? "" : $", padding {Padding}")})";

    /// <inheritdoc/>
    public override TensorShape Infer(TensorShape input)
    {
        ArgumentNullException.ThrowIfNull(input);
        var least = Kernel - 2 * Padding;
        if (!input.IsImage || input.Sizes[1] < least || input.Sizes[2] < least)
            throw new LayerShapeException($"channels × height × width with at least {Math.Max(1, least)} × {Math.Max(1, least)} pixels");
        return TensorShape.Image(Out, Size(input.Sizes[1]), Size(input.Sizes[2]));
    }

    /// <inheritdoc/>
    public override torch.nn.Module<torch.Tensor, torch.Tensor> CreateModule(TensorShape input, Random random)
    {
        ArgumentNullException.ThrowIfNull(input);
        var module = torch.nn.Conv2d(input.Sizes[0], Out, Kernel, Stride, Padding);
        var bound = 1 / Math.Sqrt(input.Sizes[0] * Kernel * Kernel);
        InitialWeights.Uniform(module.weight, bound, random);
        InitialWeights.Uniform(module.bias!, bound, random);
        return module;
    }

    /// <inheritdoc/>
    public override void Write(OnnxGraphWriter graph, torch.nn.Module<torch.Tensor, torch.Tensor> module)
    {
        ArgumentNullException.ThrowIfNull(graph);
        var conv = (TorchSharp.Modules.Conv2d)module;
        graph.Add("Conv", [graph.Weight("weight", conv.weight), graph.Weight("bias", conv.bias!)],
            OnnxAttribute.Ints("kernel_shape", Kernel, Kernel), OnnxAttribute.Ints("strides", Stride, Stride), OnnxAttribute.Ints("pads", Padding, Padding, Padding, Padding));
    }

    private int Size(int size) => (size + 2 * Padding - Kernel) / Stride + 1;
}
