using QueueMaaS.Training.Export;
using TorchSharp;
using static TorchSharp.torch.nn;

namespace QueueMaaS.Training.Specification.Layers;

/// <summary>Normalises groups of channels of each item (arXiv 1803.08494).</summary>
/// <param name="Groups">How many groups; divides the channels.</param>
/// <param name="Epsilon">Added to the variance. Default 1e-5.</param>
public sealed record GroupNormLayer(int Groups, double Epsilon = 1e-5) : SingleInputLayer
{
    /// <inheritdoc/>
    public override string Description => $"groupNorm({Groups})";

    /// <inheritdoc/>
    protected override TensorShape Infer(TensorShape input)
    {
        LayerNeeds.AtLeast(1, Groups, "groups");
        if (!(Epsilon is > 0 and < 1))
            throw new LayerShapeException($"'epsilon' to be above 0 and below 1, not {Epsilon}");
        return input.Sizes.Count > 1 && input.Sizes[0] % Groups == 0 ? input : throw new LayerShapeException($"channels × height × width, or channels × length, with a number of channels that {Groups} divides");
    }

    /// <inheritdoc/>
    protected override IReadOnlyList<WeightSpecification> Weights(TensorShape input) => NormNodes.Weights("", input.Sizes[0]);

    /// <inheritdoc/>
    protected override torch.Tensor Forward(LayerRun run, torch.Tensor input) => functional.group_norm(input, Groups, run["weight"], run["bias"], Epsilon);

    /// <inheritdoc/>
    protected override string Write(OnnxGraphWriter graph, string input, TensorShape shape)
    {
        // Operator set 17 has no group normalisation: each group as one channel of an instance normalisation.
        var grouped = graph.Node("Reshape", [input, graph.Shape("grouped", 0, Groups, -1)]);
        var normal = graph.Node(
            "InstanceNormalization",
            [grouped, graph.Constant("ones", OnnxGraphWriter.Filled(Groups, 1), [Groups]), graph.Constant("zeros", OnnxGraphWriter.Filled(Groups, 0), [Groups])],
            OnnxAttribute.Float("epsilon", Epsilon));
        var back = graph.Node("Reshape", [normal, graph.Shape("back", [0, .. shape.Sizes.Select(s => (long)s)])]);
        long[] perChannel = [shape.Sizes[0], .. Enumerable.Repeat(1L, shape.Sizes.Count - 1)];
        var scaled = graph.Node("Mul", [back, graph.Constant("scale", graph.Values("weight").Values, perChannel)]);
        return graph.Node("Add", [scaled, graph.Constant("shift", graph.Values("bias").Values, perChannel)]);
    }
}
