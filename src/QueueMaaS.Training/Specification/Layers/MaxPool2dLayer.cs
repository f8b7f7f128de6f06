using QueueMaaS.Training.Export;
using TorchSharp;

namespace QueueMaaS.Training.Specification.Layers;

/// <summary>The greatest value of each square of pixels; a rest at the edge that fills no square is left out.</summary>
/// <param name="Size">Height and width of the square, and the step between two.</param>
public sealed record MaxPool2dLayer(int Size) : LayerSpecification
{
    /// <inheritdoc/>
    public override string Description => $"max_pool2d({Size})";

    /// <inheritdoc/>
    public override TensorShape Infer(TensorShape input)
    {
        ArgumentNullException.ThrowIfNull(input);
        if (!input.IsImage || input.Sizes[1] < Size || input.Sizes[2] < Size)
            throw new LayerShapeException($"channels × height × width with at least {Size} × {Size} pixels");
        return TensorShape.Image(input.Sizes[0], input.Sizes[1] / Size, input.Sizes[2] / Size);
    }

    /// <inheritdoc/>
    public override torch.nn.Module<torch.Tensor, torch.Tensor> CreateModule(TensorShape input, Random random) => torch.nn.MaxPool2d(Size, Size);

    /// <inheritdoc/>
    public override void Write(OnnxGraphWriter graph, torch.nn.Module<torch.Tensor, torch.Tensor> module)
    {
        ArgumentNullException.ThrowIfNull(graph);
        graph.Add("MaxPool", [], OnnxAttribute.Ints("kernel_shape", Size, Size), OnnxAttribute.Ints("strides", Size, Size));
    }
}
