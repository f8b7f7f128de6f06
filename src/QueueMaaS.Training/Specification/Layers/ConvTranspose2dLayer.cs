using QueueMaaS.Training.Export;
using TorchSharp;
using static TorchSharp.torch.nn;

namespace QueueMaaS.Training.Specification.Layers;

/// <summary>A transposed two-dimensional convolution: makes images larger.</summary>
/// <param name="Out">Output channels.</param>
/// <param name="Kernel">Height and width of the kernel, in pixels.</param>
/// <param name="Stride">How much larger the image becomes. Default 1.</param>
/// <param name="Padding">Pixels cut off each side. Default 0.</param>
/// <param name="OutputPadding">Pixels added to the lower and right side; less than the stride. Default 0.</param>
/// <param name="Bias">Whether it has a bias. Default true.</param>
public sealed record ConvTranspose2dLayer(int Out, int Kernel, int Stride = 1, int Padding = 0, int OutputPadding = 0, bool Bias = true) : SingleInputLayer
{
    /// <inheritdoc/>
    public override string Description => $"convTranspose2d({Out}, {Windows.Describe(Kernel, Stride, Padding, bias: Bias)})";

    /// <inheritdoc/>
    public override bool TakesHalf => true;

    /// <inheritdoc/>
    protected override TensorShape Infer(TensorShape input)
    {
        LayerNeeds.AtLeast(1, Out, "out");
        LayerNeeds.AtLeast(1, Kernel, "kernel");
        LayerNeeds.AtLeast(1, Stride, "stride");
        LayerNeeds.AtLeast(0, Padding, "padding");
        LayerNeeds.Between(0, OutputPadding, Stride, "outputPadding");
        if (!input.IsImage)
            throw new LayerShapeException("channels × height × width");
        var (height, width) = (Size(input.Sizes[1]), Size(input.Sizes[2]));
        return height > 0 && width > 0 ? TensorShape.Image(Out, height, width) : throw new LayerShapeException($"less 'padding' than {Padding}, which leaves nothing");
    }

    /// <inheritdoc/>
    protected override IReadOnlyList<WeightSpecification> Weights(TensorShape input) =>
        WeightSpecification.Pair([input.Sizes[0], Out, Kernel, Kernel], (long)Out * Kernel * Kernel, Bias ? Out : null);

    /// <inheritdoc/>
    protected override torch.Tensor Forward(LayerRun run, torch.Tensor input) =>
        run.Product((x, w, b) => functional.conv_transpose2d(x, w, b, [Stride, Stride], [Padding, Padding], [OutputPadding, OutputPadding], [1, 1], 1), input, "weight", "bias");

    /// <inheritdoc/>
    protected override string Write(OnnxGraphWriter graph, string input, TensorShape shape) =>
        graph.Node("ConvTranspose", Bias ? [input, graph.Weight("weight"), graph.Weight("bias")] : [input, graph.Weight("weight")],
            [.. Windows.Attributes(2, Kernel, Stride, Padding).Ints("output_padding", OutputPadding, OutputPadding)]);

    private int Size(int size) => (size - 1) * Stride - 2 * Padding + Kernel + OutputPadding;
}
