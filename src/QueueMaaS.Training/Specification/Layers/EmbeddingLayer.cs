using QueueMaaS.Training.Export;
using TorchSharp;
using static TorchSharp.torch.nn;

namespace QueueMaaS.Training.Specification.Layers;

/// <summary>A learned vector for each token.</summary>
/// <param name="Size">Numbers in a vector.</param>
/// <param name="Tokens">How many tokens there are. Default: the vocabulary of the data.</param>
/// <param name="Padding">A token whose vector is zero and is not learned. Default: none.</param>
public sealed record EmbeddingLayer(int Size, int? Tokens = null, int? Padding = null) : SingleInputLayer
{
    /// <inheritdoc/>
    public override string Description => $"embedding({Size})";

    /// <inheritdoc/>
    public override bool TakesTokens => true;

    /// <inheritdoc/>
    protected override TensorShape Infer(TensorShape input)
    {
        LayerNeeds.AtLeast(1, Size, "size");
        if (!input.IsTokens)
            throw new LayerShapeException("token ids, which only the input of a text model is");
        LayerNeeds.AtLeast(2, Tokens ?? throw new LayerShapeException("a number of 'tokens'"), "tokens");
        if (Padding is { } padding)
            LayerNeeds.Between(0, padding, Tokens.Value, "padding");
        return TensorShape.Sequence(input.Sizes[0], Size);
    }

    /// <inheritdoc/>
    protected override IReadOnlyList<WeightSpecification> Weights(TensorShape input) => [new("weight", [Tokens!.Value, Size], WeightRole.Weight, FirstValues.Normal(1))];

    /// <inheritdoc/>
    protected override torch.Tensor Forward(LayerRun run, torch.Tensor input)
    {
        var vectors = run["weight"].index_select(0, input.flatten()).reshape([.. input.shape, Size]);
        if (Padding is not { } padding)
            return vectors;
        using var token = torch.tensor((long)padding, device: input.device);
        return vectors.mul(input.ne(token).unsqueeze(-1));
    }

    /// <inheritdoc/>
    protected override string Write(OnnxGraphWriter graph, string input, TensorShape shape)
    {
        if (Padding is not { } padding)
            return graph.Node("Gather", [graph.Weight("weight"), input]);
        var weight = graph.Values("weight");
        var values = (float[])weight.Values.Clone();
        values.AsSpan(padding * Size, Size).Clear();
        return graph.Node("Gather", [graph.Constant("weight", values, weight.Shape), input]);
    }
}
