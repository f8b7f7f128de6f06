using QueueMaaS.Training.Export;
using TorchSharp;
using static TorchSharp.torch.nn;

namespace QueueMaaS.Training.Specification.Layers;

/// <summary>Multiplies by a fixed number.</summary>
/// <param name="By">The number.</param>
public sealed record ScaleLayer(double By) : SingleInputLayer
{
    /// <inheritdoc/>
    public override string Description => $"scale({By})";

    /// <inheritdoc/>
    public override bool TakesHalf => true;

    /// <inheritdoc/>
    protected override TensorShape Infer(TensorShape input) => double.IsFinite(By) ? input : throw new LayerShapeException("'by' to be a number");

    /// <inheritdoc/>
    protected override torch.Tensor Forward(LayerRun run, torch.Tensor input) => input.mul(run.Number(By));

    /// <inheritdoc/>
    protected override string Write(OnnxGraphWriter graph, string input, TensorShape shape) => graph.Node("Mul", [input, graph.Constant("by", [(float)By], [])]);
}
