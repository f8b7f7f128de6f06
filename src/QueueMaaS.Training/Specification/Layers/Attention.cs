using QueueMaaS.Training.Export;
using TorchSharp;
using static TorchSharp.torch.nn;

namespace QueueMaaS.Training.Specification.Layers;

/// <summary>Self-attention with several heads (arXiv 1706.03762), as the layers that contain it share it.</summary>
internal static class SelfAttention
{
    // Added to the scores of padding; not infinite, so that a text of padding alone gives numbers.
    private const float Low = -1e4f;

    public static void Check(IReadOnlyList<TensorShape> inputs, int heads)
    {
        LayerNeeds.AtLeast(1, heads, "heads");
        if (!inputs[0].IsSequence || inputs[0].Sizes[1] % heads != 0)
            throw new LayerShapeException($"length × features with a number of features that {heads} 'heads' divide");
        if (inputs.Count == 2 && !inputs[1].SameSizes(TensorShape.Row(inputs[0].Sizes[0])))
            throw new LayerShapeException("as second input a mask of the same length");
    }

    public static IEnumerable<WeightSpecification> Weights(int features, string prefix) =>
    [
        .. WeightSpecification.Pair([3L * features, features], features, 3L * features, prefix + "in_proj_"),
        .. WeightSpecification.Pair([features, features], features, features, prefix + "out_proj."),
    ];

    public static torch.Tensor Apply(LayerRun run, torch.Tensor x, torch.Tensor? mask, int heads, string prefix, double dropout)
    {
        var (batch, length, features) = (x.shape[0], x.shape[1], x.shape[2]);
        var size = features / heads;
        // [batch, length, 3, heads, size] → three of [batch, heads, length, size].
        var all = run.Linear(x, prefix + "in_proj_weight", prefix + "in_proj_bias").reshape([batch, length, 3, heads, size]).permute([2, 0, 3, 1, 4]);
        var (query, key, value) = (all.select(0, 0), all.select(0, 1), all.select(0, 2));
        var scores = query.mul(run.Number(1 / Math.Sqrt(size))).matmul(key.transpose(2, 3));
        if (mask is not null)
            scores = scores.add(mask.sub(run.Number(1)).mul(run.Number(-Low)).reshape([batch, 1, 1, length]));
        var weights = DropoutLayer.Apply(run, scores.softmax(-1), dropout);
        var mixed = weights.matmul(value).transpose(1, 2).reshape([batch, length, features]);
        return run.Linear(mixed, prefix + "out_proj.weight", prefix + "out_proj.bias");
    }

    public static string Write(OnnxGraphWriter graph, string x, string? mask, TensorShape shape, int heads, string prefix)
    {
        var (length, features) = (shape.Sizes[0], shape.Sizes[1]);
        var size = features / heads;
        var all = graph.Node("Add", [graph.Node("MatMul", [x, graph.Transposed(prefix + "in_proj_weight")]), graph.Weight(prefix + "in_proj_bias")]);
        var split = graph.Node("Transpose", [graph.Node("Reshape", [all, graph.Shape(prefix + "split", 0, length, 3, heads, size)])], OnnxAttribute.Ints("perm", 2, 0, 3, 1, 4));
        string Part(int index) => graph.Node("Gather", [split, graph.Scalar($"{prefix}part{index}", index)], OnnxAttribute.Int("axis", 0));
        var query = graph.Node("Mul", [Part(0), graph.Constant(prefix + "scale", [(float)(1 / Math.Sqrt(size))], [])]);
        var scores = graph.Node("MatMul", [query, graph.Node("Transpose", [Part(1)], OnnxAttribute.Ints("perm", 0, 1, 3, 2))]);
        if (mask is not null)
        {
            var low = graph.Node("Mul", [graph.Node("Sub", [mask, graph.Constant(prefix + "one", [1], [])]), graph.Constant(prefix + "low", [-Low], [])]);
            scores = graph.Node("Add", [scores, graph.Node("Unsqueeze", [low, graph.Shape(prefix + "axes", 1, 2)])]);
        }

        var weights = graph.Node("Softmax", [scores], OnnxAttribute.Int("axis", -1));
        var mixed = graph.Node("Transpose", [graph.Node("MatMul", [weights, Part(2)])], OnnxAttribute.Ints("perm", 0, 2, 1, 3));
        var joined = graph.Node("Reshape", [mixed, graph.Shape(prefix + "join", 0, length, features)]);
        return DenseNodes.Write(graph, joined, prefix + "out_proj.", bias: true, row: false);
    }
}
