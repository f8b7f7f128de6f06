using QueueMaaS.Training.Export;
using TorchSharp;
using static TorchSharp.torch.nn;

namespace QueueMaaS.Training.Specification.Layers;

/// <summary>Normalises each item over its last axis (arXiv 1607.06450).</summary>
/// <param name="Epsilon">Added to the variance. Default 1e-5.</param>
public sealed record LayerNormLayer(double Epsilon = 1e-5) : SingleInputLayer
{
    /// <inheritdoc/>
    public override string Description => "layerNorm";

    /// <inheritdoc/>
    protected override TensorShape Infer(TensorShape input) => Epsilon is > 0 and < 1 ? input : throw new LayerShapeException($"'epsilon' to be above 0 and below 1, not {Epsilon}");

    /// <inheritdoc/>
    protected override IReadOnlyList<WeightSpecification> Weights(TensorShape input) => NormNodes.Weights("", input.Sizes[^1]);

    /// <inheritdoc/>
    protected override torch.Tensor Forward(LayerRun run, torch.Tensor input) => functional.layer_norm(input, [input.shape[^1]], run["weight"], run["bias"], Epsilon);

    /// <inheritdoc/>
    protected override string Write(OnnxGraphWriter graph, string input, TensorShape shape) => NormNodes.Write(graph, input, "", Epsilon);
}

/// <summary>A layer normalisation in ONNX, shared by the layers that contain one.</summary>
internal static class NormNodes
{
    public static IReadOnlyList<WeightSpecification> Weights(string prefix, long size) =>
        [new(prefix + "weight", [size], WeightRole.Scale, FirstValues.Ones), new(prefix + "bias", [size], WeightRole.Bias, FirstValues.Zeros)];

    public static string Write(OnnxGraphWriter graph, string input, string prefix, double epsilon) =>
        graph.Node("LayerNormalization", [input, graph.Weight(prefix + "weight"), graph.Weight(prefix + "bias")], OnnxAttribute.Int("axis", -1), OnnxAttribute.Float("epsilon", epsilon));
}
