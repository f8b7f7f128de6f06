using QueueMaaS.Training.Export;
using TorchSharp;
using static TorchSharp.torch.nn;

namespace QueueMaaS.Training.Specification.Layers;

/// <summary>Makes the last axis positive and add up to 1. A classifier needs none: its loss and the answers of a served model take logits.</summary>
/// <param name="Log">True: the logarithm of it. Default false.</param>
public sealed record SoftmaxLayer(bool Log = false) : SingleInputLayer
{
    /// <inheritdoc/>
    public override string Description => Log ? "softmax(log)" : "softmax";

    /// <inheritdoc/>
    protected override TensorShape Infer(TensorShape input) => input;

    /// <inheritdoc/>
    protected override torch.Tensor Forward(LayerRun run, torch.Tensor input) => Log ? functional.log_softmax(input, -1) : input.softmax(-1);

    /// <inheritdoc/>
    protected override string Write(OnnxGraphWriter graph, string input, TensorShape shape) => graph.Node(Log ? "LogSoftmax" : "Softmax", [input], OnnxAttribute.Int("axis", -1));
}
