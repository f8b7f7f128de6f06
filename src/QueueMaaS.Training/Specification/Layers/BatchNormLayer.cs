using QueueMaaS.Training.Export;
using TorchSharp;
using static TorchSharp.torch.nn;

namespace QueueMaaS.Training.Specification.Layers;

/// <summary>Normalises each channel (or feature) over the batch (arXiv 1502.03167); counts running means and variances for inference.</summary>
/// <param name="Momentum">The share of a batch in the running figures, above 0 up to 1. Default 0.1.</param>
/// <param name="Epsilon">Added to the variance. Default 1e-5.</param>
/// <param name="Scale">Whether a scale is learned. Default true.</param>
/// <param name="Bias">Whether a shift is learned. Default true.</param>
public sealed record BatchNormLayer(double Momentum = 0.1, double Epsilon = 1e-5, bool Scale = true, bool Bias = true) : SingleInputLayer
{
    /// <inheritdoc/>
    public override string Description => "batchNorm";

    /// <inheritdoc/>
    public override bool TakesHalf => true;

    /// <inheritdoc/>
    protected override TensorShape Infer(TensorShape input)
    {
        if (!(Momentum is > 0 and <= 1))
            throw new LayerShapeException($"'momentum' to be above 0 and at most 1, not {Momentum}");
        if (!(Epsilon is > 0 and < 1))
            throw new LayerShapeException($"'epsilon' to be above 0 and below 1, not {Epsilon}");
        return input;
    }

    /// <inheritdoc/>
    protected override IReadOnlyList<WeightSpecification> Weights(TensorShape input)
    {
        long[] shape = [input.Sizes[0]];
        List<WeightSpecification> weights = [];
        if (Scale)
            weights.Add(new("weight", shape, WeightRole.Scale, FirstValues.Ones));
        if (Bias)
            weights.Add(new("bias", shape, WeightRole.Bias, FirstValues.Zeros));
        return [.. weights, new("running_mean", shape, WeightRole.Statistic, FirstValues.Zeros), new("running_var", shape, WeightRole.Statistic, FirstValues.Ones)];
    }

    /// <inheritdoc/>
    protected override torch.Tensor Forward(LayerRun run, torch.Tensor input)
    {
        // One row has no variance: a last batch of one is normalised by what was counted before.
        var counting = run.Training && (input.shape[0] > 1 || input.dim() > 2);
        return functional.batch_norm(input, run["running_mean"], run["running_var"], run.Optional("weight"), run.Optional("bias"), counting, Momentum, Epsilon);
    }

    /// <inheritdoc/>
    protected override string Write(OnnxGraphWriter graph, string input, TensorShape shape)
    {
        long[] size = [shape.Sizes[0]];
        return graph.Node(
            "BatchNormalization",
            [
                input,
                Scale ? graph.Weight("weight") : graph.Constant("weight", OnnxGraphWriter.Filled(size[0], 1), size),
                Bias ? graph.Weight("bias") : graph.Constant("bias", OnnxGraphWriter.Filled(size[0], 0), size),
                graph.Weight("running_mean"),
                graph.Weight("running_var"),
            ],
            OnnxAttribute.Float("epsilon", Epsilon));
    }
}
