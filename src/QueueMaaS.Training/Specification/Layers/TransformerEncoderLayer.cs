using QueueMaaS.Training.Export;
using TorchSharp;
using static TorchSharp.torch.nn;

namespace QueueMaaS.Training.Specification.Layers;

/// <summary>One block of a Transformer encoder: attention and a small network, each normalised before and added to what came in (pre-norm, arXiv 2002.04745). A mask may be the second input.</summary>
/// <param name="Heads">How many heads; divides the features.</param>
/// <param name="Inner">Features within the small network. Default: four times the features.</param>
/// <param name="Dropout">0 to below 1. Default 0.1.</param>
/// <param name="Function">Its activation. Default <c>gelu</c>.</param>
public sealed record TransformerEncoderLayer(int Heads, int? Inner = null, double Dropout = 0.1, Activation Function = Activation.Gelu) : LayerSpecification
{
    private const double Epsilon = 1e-5;

    /// <inheritdoc/>
    public override string Description => $"transformerEncoder({Heads} heads)";

    /// <inheritdoc/>
    public override (int Least, int Most) InputCount => (1, 2);

    /// <inheritdoc/>
    public override TensorShape Infer(IReadOnlyList<TensorShape> inputs)
    {
        ArgumentNullException.ThrowIfNull(inputs);
        SelfAttention.Check(inputs, Heads);
        LayerNeeds.AtLeast(1, Inner ?? 1, "inner");
        LayerNeeds.Between(0, Dropout, 1, "dropout");
        return inputs[0];
    }

    /// <inheritdoc/>
    public override IReadOnlyList<WeightSpecification> Weights(IReadOnlyList<TensorShape> inputs)
    {
        ArgumentNullException.ThrowIfNull(inputs);
        var features = inputs[0].Sizes[1];
        var inner = Inner ?? 4 * features;
        return
        [
            .. NormNodes.Weights("norm1.", features),
            .. SelfAttention.Weights(features, "self_attn."),
            .. NormNodes.Weights("norm2.", features),
            .. WeightSpecification.Pair([inner, features], features, inner, "linear1."),
            .. WeightSpecification.Pair([features, inner], inner, features, "linear2."),
        ];
    }

    /// <inheritdoc/>
    public override torch.Tensor Forward(LayerRun run, IReadOnlyList<torch.Tensor> inputs)
    {
        ArgumentNullException.ThrowIfNull(run);
        ArgumentNullException.ThrowIfNull(inputs);
        var x = inputs[0];
        var attended = SelfAttention.Apply(run, Norm(run, x, "norm1."), inputs.ElementAtOrDefault(1), Heads, "self_attn.", Dropout);
        x = x.add(DropoutLayer.Apply(run, attended, Dropout));
        var inner = ActivationFunctions.Apply(run, Function, null, run.Linear(Norm(run, x, "norm2."), "linear1.weight", "linear1.bias"));
        var outer = run.Linear(DropoutLayer.Apply(run, inner, Dropout), "linear2.weight", "linear2.bias");
        return x.add(DropoutLayer.Apply(run, outer, Dropout));
    }

    /// <inheritdoc/>
    public override string Write(OnnxGraphWriter graph, IReadOnlyList<string> inputs, IReadOnlyList<TensorShape> shapes)
    {
        ArgumentNullException.ThrowIfNull(graph);
        ArgumentNullException.ThrowIfNull(inputs);
        ArgumentNullException.ThrowIfNull(shapes);
        var normal = NormNodes.Write(graph, inputs[0], "norm1.", Epsilon);
        var x = graph.Node("Add", [inputs[0], SelfAttention.Write(graph, normal, inputs.ElementAtOrDefault(1), shapes[0], Heads, "self_attn.")]);
        var inner = DenseNodes.Write(graph, NormNodes.Write(graph, x, "norm2.", Epsilon), "linear1.", bias: true, row: false);
        var outer = DenseNodes.Write(graph, ActivationFunctions.Write(graph, Function, null, inner, "inner."), "linear2.", bias: true, row: false);
        return graph.Node("Add", [x, outer]);
    }

    private static torch.Tensor Norm(LayerRun run, torch.Tensor x, string prefix) => functional.layer_norm(x, [x.shape[^1]], run[prefix + "weight"], run[prefix + "bias"], Epsilon);
}
