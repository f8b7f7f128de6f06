using QueueMaaS.Training.Export;
using TorchSharp;
using static TorchSharp.torch.nn;

namespace QueueMaaS.Training.Specification.Layers;

/// <summary>A one-dimensional convolution over channels × length.</summary>
/// <param name="Out">Output channels.</param>
/// <param name="Kernel">Length of the kernel.</param>
/// <param name="Stride">Steps between two positions of the kernel. Default 1.</param>
/// <param name="Padding">Zeros added at each end. Default 0.</param>
/// <param name="Groups">Channels are split into so many groups; as many as input channels: depthwise. Default 1.</param>
/// <param name="Bias">Whether it has a bias. Default true.</param>
/// <param name="Dilation">Steps between two points of the kernel. Default 1.</param>
public sealed record Conv1dLayer(int Out, int Kernel, int Stride = 1, int Padding = 0, int Groups = 1, bool Bias = true, int Dilation = 1) : SingleInputLayer
{
    /// <inheritdoc/>
    public override string Description => $"conv1d({Out}, {Windows.Describe(Kernel, Stride, Padding, Dilation, Groups, Bias)})";

    /// <inheritdoc/>
    public override bool TakesHalf => true;

    /// <inheritdoc/>
    protected override TensorShape Infer(TensorShape input)
    {
        var sizes = Windows.Slide(input, 1, Kernel, Stride, Padding, Dilation);
        Windows.CheckGroups(input.Sizes[0], Out, Groups);
        return TensorShape.Sequence(Out, sizes[0]);
    }

    /// <inheritdoc/>
    protected override IReadOnlyList<WeightSpecification> Weights(TensorShape input)
    {
        var channels = input.Sizes[0] / Groups;
        return WeightSpecification.Pair([Out, channels, Kernel], (long)channels * Kernel, Bias ? Out : null);
    }

    /// <inheritdoc/>
    protected override torch.Tensor Forward(LayerRun run, torch.Tensor input) =>
        run.Product((x, w, b) => functional.conv1d(x, w, b, Stride, Padding, Dilation, Groups), input, "weight", "bias");

    /// <inheritdoc/>
    protected override string Write(OnnxGraphWriter graph, string input, TensorShape shape) =>
        graph.Node("Conv", Bias ? [input, graph.Weight("weight"), graph.Weight("bias")] : [input, graph.Weight("weight")],
            [.. Windows.Attributes(1, Kernel, Stride, Padding).Ints("dilations", Dilation).Int("group", Groups)]);
}
