using QueueMaaS.Training.Export;
using TorchSharp;
using static TorchSharp.torch.nn;

namespace QueueMaaS.Training.Specification.Layers;

/// <summary>Self-attention with several heads over length × features; a mask may be the second input.</summary>
/// <param name="Heads">How many heads; divides the features.</param>
/// <param name="Dropout">The share of attention that is dropped while training, 0 to below 1. Default 0.</param>
public sealed record AttentionLayer(int Heads, double Dropout = 0) : LayerSpecification
{
    /// <inheritdoc/>
    public override string Description => $"attention({Heads} heads)";

    /// <inheritdoc/>
    public override (int Least, int Most) InputCount => (1, 2);

    /// <inheritdoc/>
    public override TensorShape Infer(IReadOnlyList<TensorShape> inputs)
    {
        ArgumentNullException.ThrowIfNull(inputs);
        SelfAttention.Check(inputs, Heads);
        LayerNeeds.Between(0, Dropout, 1, "dropout");
        return inputs[0];
    }

    /// <inheritdoc/>
    public override IReadOnlyList<WeightSpecification> Weights(IReadOnlyList<TensorShape> inputs) => [.. SelfAttention.Weights(inputs[0].Sizes[1], "")];

    /// <inheritdoc/>
    public override torch.Tensor Forward(LayerRun run, IReadOnlyList<torch.Tensor> inputs)
    {
        ArgumentNullException.ThrowIfNull(run);
        ArgumentNullException.ThrowIfNull(inputs);
        return SelfAttention.Apply(run, inputs[0], inputs.ElementAtOrDefault(1), Heads, "", Dropout);
    }

    /// <inheritdoc/>
    public override string Write(OnnxGraphWriter graph, IReadOnlyList<string> inputs, IReadOnlyList<TensorShape> shapes)
    {
        ArgumentNullException.ThrowIfNull(graph);
        ArgumentNullException.ThrowIfNull(inputs);
        ArgumentNullException.ThrowIfNull(shapes);
        return SelfAttention.Write(graph, inputs[0], inputs.ElementAtOrDefault(1), shapes[0], Heads, "");
    }
}
