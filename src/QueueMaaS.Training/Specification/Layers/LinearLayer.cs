using QueueMaaS.Training.Export;
using TorchSharp;
using static TorchSharp.torch.nn;

namespace QueueMaaS.Training.Specification.Layers;

/// <summary>A dense layer over the last axis.</summary>
/// <param name="Out">Output features. Default: as many as the task has outputs.</param>
/// <param name="Bias">Whether it has a bias. Default true.</param>
public sealed record LinearLayer(int? Out = null, bool Bias = true) : SingleInputLayer
{
    /// <inheritdoc/>
    public override string Description => $"linear({Out?.ToString() ?? "outputs"}{(Bias ? "" : ", no bias")})";

    /// <inheritdoc/>
    public override bool TakesHalf => true;

    /// <inheritdoc/>
    protected override TensorShape Infer(TensorShape input)
    {
        LayerNeeds.AtLeast(1, Out ?? 1, "out");
        if (input.IsImage)
            throw new LayerShapeException("one row of features, or a sequence of them; put a flatten before it");
        return new([.. input.Sizes.SkipLast(1), Out ?? throw new LayerShapeException("a number of outputs: give 'out'")]);
    }

    /// <inheritdoc/>
    protected override IReadOnlyList<WeightSpecification> Weights(TensorShape input) => WeightSpecification.Pair([Out!.Value, input.Sizes[^1]], input.Sizes[^1], Bias ? Out : null);

    /// <inheritdoc/>
    protected override torch.Tensor Forward(LayerRun run, torch.Tensor input) => run.Linear(input, "weight", "bias");

    /// <inheritdoc/>
    protected override string Write(OnnxGraphWriter graph, string input, TensorShape shape) =>
        DenseNodes.Write(graph, input, "", Bias, shape.IsRow);
}

/// <summary>A dense layer in ONNX, shared by the layers that contain one.</summary>
internal static class DenseNodes
{
    public static string Write(OnnxGraphWriter graph, string input, string prefix, bool bias, bool row)
    {
        if (row)
            return graph.Node("Gemm", bias ? [input, graph.Weight(prefix + "weight"), graph.Weight(prefix + "bias")] : [input, graph.Weight(prefix + "weight")], OnnxAttribute.Int("transB", 1));
        var product = graph.Node("MatMul", [input, graph.Transposed(prefix + "weight")]);
        return bias ? graph.Node("Add", [product, graph.Weight(prefix + "bias")]) : product;
    }
}
