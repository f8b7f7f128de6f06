using QueueMaaS.Training.Export;
using TorchSharp;
using static TorchSharp.torch.nn;

namespace QueueMaaS.Training.Specification.Layers;

/// <summary>The greatest value of each stretch of a channels × length sequence.</summary>
/// <param name="Kernel">Length of the stretch.</param>
/// <param name="Stride">Steps between two. Default: <paramref name="Kernel"/>.</param>
/// <param name="Padding">Steps added at each end, at most half the kernel. Default 0.</param>
public sealed record MaxPool1dLayer(int Kernel, int? Stride = null, int Padding = 0) : SingleInputLayer
{
    /// <inheritdoc/>
    public override string Description => $"maxPool1d({Kernel}{(Stride is { } s ? $", stride {s}" : "")}{(Padding == 0 ? "" : $", padding {Padding}")})";

    /// <inheritdoc/>
    public override bool TakesHalf => true;

    /// <inheritdoc/>
    protected override TensorShape Infer(TensorShape input)
    {
        LayerNeeds.Between(0, Padding, Kernel / 2 + 1, "padding");
        return TensorShape.Sequence(input.Sizes[0], Windows.Slide(input, 1, Kernel, Stride ?? Kernel, Padding)[0]);
    }

    /// <inheritdoc/>
    protected override torch.Tensor Forward(LayerRun run, torch.Tensor input) => functional.max_pool1d(input, Kernel, Stride ?? Kernel, Padding);

    /// <inheritdoc/>
    protected override string Write(OnnxGraphWriter graph, string input, TensorShape shape) => graph.Node("MaxPool", [input], [.. Windows.Attributes(1, Kernel, Stride ?? Kernel, Padding)]);
}
