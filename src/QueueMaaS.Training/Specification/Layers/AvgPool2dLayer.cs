using QueueMaaS.Training.Export;
using TorchSharp;
using static TorchSharp.torch.nn;

namespace QueueMaaS.Training.Specification.Layers;

/// <summary>The mean of each square of pixels; padding counts as zeros.</summary>
/// <param name="Kernel">Height and width of the square.</param>
/// <param name="Stride">Pixels between two squares. Default: <paramref name="Kernel"/>.</param>
/// <param name="Padding">Zeros added on each side, at most half the kernel. Default 0.</param>
public sealed record AvgPool2dLayer(int Kernel, int? Stride = null, int Padding = 0) : SingleInputLayer
{
    /// <inheritdoc/>
    public override string Description => $"avgPool2d({Kernel}{(Stride is { } s ? $", stride {s}" : "")}{(Padding == 0 ? "" : $", padding {Padding}")})";

    /// <inheritdoc/>
    public override bool TakesHalf => true;

    /// <inheritdoc/>
    protected override TensorShape Infer(TensorShape input)
    {
        LayerNeeds.Between(0, Padding, Kernel / 2 + 1, "padding");
        var sizes = Windows.Slide(input, 2, Kernel, Stride ?? Kernel, Padding);
        return TensorShape.Image(input.Sizes[0], sizes[0], sizes[1]);
    }

    /// <inheritdoc/>
    protected override torch.Tensor Forward(LayerRun run, torch.Tensor input) => functional.avg_pool2d(input, Kernel, Stride ?? Kernel, Padding);

    /// <inheritdoc/>
    protected override string Write(OnnxGraphWriter graph, string input, TensorShape shape) =>
        graph.Node("AveragePool", [input], [.. Windows.Attributes(2, Kernel, Stride ?? Kernel, Padding).Int("count_include_pad", 1)]);
}
