using QueueMaaS.Training.Export;
using TorchSharp;
using static TorchSharp.torch.nn;

namespace QueueMaaS.Training.Specification.Layers;

/// <summary>A function of each number by itself.</summary>
/// <param name="Function">Which one.</param>
/// <param name="Slope">leakyRelu: what numbers below 0 are multiplied by, 0 to below 1 (default 0.01). elu: the lowest value, negated (default 1).</param>
public sealed record ActivationLayer(Activation Function, double? Slope = null) : SingleInputLayer
{
    /// <inheritdoc/>
    public override string Description => ActivationFunctions.NameOf(Function);

    /// <inheritdoc/>
    public override bool TakesHalf => true;

    /// <inheritdoc/>
    protected override TensorShape Infer(TensorShape input)
    {
        if (Slope is { } slope && (Function is not (Activation.LeakyRelu or Activation.Elu) || !(slope is >= 0 and < 10) || (Function == Activation.LeakyRelu && slope >= 1)))
            throw new LayerShapeException("a 'slope' only for leakyRelu (0 to below 1) and elu (0 to below 10)");
        return input;
    }

    /// <inheritdoc/>
    protected override torch.Tensor Forward(LayerRun run, torch.Tensor input) => ActivationFunctions.Apply(run, Function, Slope, input);

    /// <inheritdoc/>
    protected override string Write(OnnxGraphWriter graph, string input, TensorShape shape) => ActivationFunctions.Write(graph, Function, Slope, input, "");
}
