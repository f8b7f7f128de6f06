using QueueMaaS.Training.Export;
using TorchSharp;
using static TorchSharp.torch.nn;

namespace QueueMaaS.Training.Specification.Layers;

/// <summary>While training, sets each number to zero with a probability and enlarges the others to match (Srivastava et al., 2014); afterwards does nothing.</summary>
/// <param name="Rate">The probability, 0 to below 1. Default 0.5.</param>
/// <param name="Channels">True: whole channels instead of single numbers. Default false.</param>
public sealed record DropoutLayer(double Rate = 0.5, bool Channels = false) : SingleInputLayer
{
    /// <inheritdoc/>
    public override string Description => $"dropout({Rate})";

    /// <inheritdoc/>
    public override bool TakesHalf => true;

    /// <inheritdoc/>
    protected override TensorShape Infer(TensorShape input)
    {
        LayerNeeds.Between(0, Rate, 1, "rate");
        return input;
    }

    /// <inheritdoc/>
    protected override torch.Tensor Forward(LayerRun run, torch.Tensor input) => Apply(run, input, Rate, Channels);

    /// <inheritdoc/>
    protected override string Write(OnnxGraphWriter graph, string input, TensorShape shape) => graph.Node("Identity", [input]);

    internal static torch.Tensor Apply(LayerRun run, torch.Tensor input, double rate, bool channels = false)
    {
        if (!run.Training || rate == 0)
            return input;
        var shape = input.shape;
        if (channels)
            shape = [shape[0], shape[1], .. Enumerable.Repeat(1L, shape.Length - 2)];
        var kept = run.Uniform(shape).ge(run.Number(rate));
        return input * kept * run.Number(1 / (1 - rate));
    }
}
