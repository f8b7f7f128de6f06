using QueueMaaS.Training.Export;
using TorchSharp;
using static TorchSharp.torch.nn;

namespace QueueMaaS.Training.Specification.Layers;

/// <summary>1 where there is a token and 0 where there is padding, for the layers that take a mask.</summary>
/// <param name="Padding">The padding token. Default 0.</param>
public sealed record TokenMaskLayer(int Padding = 0) : SingleInputLayer
{
    /// <inheritdoc/>
    public override string Description => "tokenMask";

    /// <inheritdoc/>
    public override bool TakesTokens => true;

    /// <inheritdoc/>
    protected override TensorShape Infer(TensorShape input) => input.IsTokens ? TensorShape.Row(input.Sizes[0]) : throw new LayerShapeException("token ids, which only the input of a text model is");

    /// <inheritdoc/>
    protected override torch.Tensor Forward(LayerRun run, torch.Tensor input)
    {
        using var token = torch.tensor((long)Padding, device: input.device);
        return input.ne(token).to(torch.float32);
    }

    /// <inheritdoc/>
    protected override string Write(OnnxGraphWriter graph, string input, TensorShape shape)
    {
        var padding = graph.Node("Equal", [input, graph.Scalar("padding", Padding)]);
        return graph.Node("Cast", [graph.Node("Not", [padding])], OnnxAttribute.Int("to", 1));
    }
}
