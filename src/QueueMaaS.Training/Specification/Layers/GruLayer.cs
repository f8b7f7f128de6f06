using QueueMaaS.Training.Export;
using TorchSharp;
using static TorchSharp.torch.nn;

namespace QueueMaaS.Training.Specification.Layers;

/// <summary>A gated recurrent unit over length × features (arXiv 1406.1078).</summary>
/// <param name="Size">Numbers in its state.</param>
/// <param name="Bidirectional">True: a second one reads from the end, and both states stand side by side. Default false.</param>
/// <param name="Output"><c>sequence</c> or <c>last</c>. Default <c>sequence</c>.</param>
public sealed record GruLayer(int Size, bool Bidirectional = false, RecurrentOutput Output = RecurrentOutput.Sequence) : SingleInputLayer
{
    /// <inheritdoc/>
    public override string Description => $"gru({Size}{(Bidirectional ? ", bidirectional" : "")})";

    /// <inheritdoc/>
    protected override TensorShape Infer(TensorShape input) => RecurrentNodes.Infer(input, Size, Bidirectional, Output);

    /// <inheritdoc/>
    protected override IReadOnlyList<WeightSpecification> Weights(TensorShape input) => RecurrentNodes.Weights(input, Size, 3, Bidirectional);

    /// <inheritdoc/>
    protected override Module? CreateModule(TensorShape input) => GRU(input.Sizes[1], Size, batchFirst: true, bidirectional: Bidirectional);

    /// <inheritdoc/>
    protected override torch.Tensor Forward(LayerRun run, torch.Tensor input)
    {
        var (sequence, state) = ((TorchSharp.Modules.GRU)run.Module!).call(input);
        return Output == RecurrentOutput.Last ? RecurrentNodes.Last(state) : sequence;
    }

    /// <inheritdoc/>
    protected override string Write(OnnxGraphWriter graph, string input, TensorShape shape) =>
        RecurrentNodes.Write(graph, "GRU", input, Size, [1, 0, 2], Bidirectional, Output, OnnxAttribute.Int("linear_before_reset", 1));
}
