using QueueMaaS.Training.Export;
using TorchSharp;
using static TorchSharp.torch.nn;

namespace QueueMaaS.Training.Specification.Layers;

/// <summary>One row out of a length × features sequence; with a mask as second input, of the tokens only.</summary>
/// <param name="Mode"><c>average</c>, <c>max</c>, <c>first</c> or <c>last</c>. Default <c>average</c>. Only the average and the maximum take a mask.</param>
public sealed record SequencePoolLayer(PoolMode Mode = PoolMode.Average) : LayerSpecification
{
    // Far below what a layer gives, and not so far that a row of padding alone becomes infinite.
    private const float Low = -1e4f;

    /// <inheritdoc/>
    public override string Description => $"sequencePool({Mode.ToString().ToLowerInvariant()})";

    /// <inheritdoc/>
    public override (int Least, int Most) InputCount => (1, 2);

    /// <inheritdoc/>
    public override TensorShape Infer(IReadOnlyList<TensorShape> inputs)
    {
        ArgumentNullException.ThrowIfNull(inputs);
        if (!inputs[0].IsSequence)
            throw new LayerShapeException("length × features");
        if (inputs.Count == 2 && (Mode is PoolMode.First or PoolMode.Last || !inputs[1].SameSizes(TensorShape.Row(inputs[0].Sizes[0]))))
            throw new LayerShapeException("as second input a mask of the same length, and only with mode average or max");
        return TensorShape.Row(inputs[0].Sizes[1]);
    }

    /// <inheritdoc/>
    public override torch.Tensor Forward(LayerRun run, IReadOnlyList<torch.Tensor> inputs)
    {
        ArgumentNullException.ThrowIfNull(run);
        ArgumentNullException.ThrowIfNull(inputs);
        var x = inputs[0];
        var mask = inputs.Count == 2 ? inputs[1].unsqueeze(-1) : null;
        return Mode switch
        {
            PoolMode.First => x.select(1, 0),
            PoolMode.Last => x.select(1, x.shape[1] - 1),
            PoolMode.Max => (mask is null ? x : x.add(mask.sub(run.Number(1)).mul(run.Number(-Low)))).amax([1]),
            _ when mask is null => x.mean([1]),
            _ => x.mul(mask).sum(1).div(mask.sum(1).add(run.Number(1e-6))),
        };
    }

    /// <inheritdoc/>
    public override string Write(OnnxGraphWriter graph, IReadOnlyList<string> inputs, IReadOnlyList<TensorShape> shapes)
    {
        ArgumentNullException.ThrowIfNull(graph);
        ArgumentNullException.ThrowIfNull(inputs);
        var x = inputs[0];
        if (Mode is PoolMode.First or PoolMode.Last)
            return graph.Node("Gather", [x, graph.Scalar("at", Mode == PoolMode.First ? 0 : shapes[0].Sizes[0] - 1)], OnnxAttribute.Int("axis", 1));
        if (inputs.Count == 1)
            return Mode == PoolMode.Max ? Max(graph, x) : graph.Node("ReduceMean", [x], OnnxAttribute.Ints("axes", 1), OnnxAttribute.Int("keepdims", 0));
        var mask = graph.Node("Unsqueeze", [inputs[1], graph.Shape("axis", -1)]);
        if (Mode == PoolMode.Max)
        {
            var low = graph.Node("Mul", [graph.Node("Sub", [mask, graph.Constant("one", [1], [])]), graph.Constant("low", [-Low], [])]);
            return Max(graph, graph.Node("Add", [x, low]));
        }

        var sum = graph.Node("ReduceSum", [graph.Node("Mul", [x, mask]), graph.Shape("length", 1)], OnnxAttribute.Int("keepdims", 0));
        var count = graph.Node("ReduceSum", [mask, graph.Shape("length", 1)], OnnxAttribute.Int("keepdims", 0));
        return graph.Node("Div", [sum, graph.Node("Add", [count, graph.Constant("small", [1e-6f], [])])]);
    }

    private static string Max(OnnxGraphWriter graph, string x) => graph.Node("ReduceMax", [x], OnnxAttribute.Ints("axes", 1), OnnxAttribute.Int("keepdims", 0));
}
