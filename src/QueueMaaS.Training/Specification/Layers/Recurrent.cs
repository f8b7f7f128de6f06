using QueueMaaS.Onnx;
using QueueMaaS.Training.Export;
using TorchSharp;
using static TorchSharp.torch.nn;

namespace QueueMaaS.Training.Specification.Layers;

/// <summary>What a recurrent layer gives.</summary>
public enum RecurrentOutput
{
    /// <summary>The state after every step: length × features.</summary>
    Sequence,
    /// <summary>The state after the last step: one row.</summary>
    Last,
}

/// <summary>What LSTM and GRU share. Gates are stored in PyTorch's order and written in ONNX's.</summary>
internal static class RecurrentNodes
{
    public static TensorShape Infer(TensorShape input, int size, bool bidirectional, RecurrentOutput output)
    {
        LayerNeeds.AtLeast(1, size, "size");
        if (!input.IsSequence)
            throw new LayerShapeException("length × features");
        var features = size * (bidirectional ? 2 : 1);
        return output == RecurrentOutput.Last ? TensorShape.Row(features) : TensorShape.Sequence(input.Sizes[0], features);
    }

    public static IReadOnlyList<WeightSpecification> Weights(TensorShape input, int size, int gates, bool bidirectional)
    {
        var first = FirstValues.Uniform(1 / Math.Sqrt(size));
        long rows = (long)gates * size;
        return [.. Directions(bidirectional).SelectMany(d => new WeightSpecification[]
        {
            new($"weight_ih_l0{d}", [rows, input.Sizes[1]], WeightRole.Weight, first),
            new($"weight_hh_l0{d}", [rows, size], WeightRole.Weight, first),
            new($"bias_ih_l0{d}", [rows], WeightRole.Bias, first),
            new($"bias_hh_l0{d}", [rows], WeightRole.Bias, first),
        })];
    }

    /// <summary>The state after the last step out of [directions, batch, size].</summary>
    public static torch.Tensor Last(torch.Tensor state) => state.transpose(0, 1).flatten(1);

    /// <summary>Writes the layer; <paramref name="order"/> says which of PyTorch's gates stands at each place of ONNX's.</summary>
    public static string Write(OnnxGraphWriter graph, string operation, string input, int size, int[] order, bool bidirectional, RecurrentOutput output, params AttributeProto[] more)
    {
        var directions = Directions(bidirectional).ToArray();
        var weights = Gates(graph, "W", "weight_ih_l0", directions, size, order);
        var recurrent = Gates(graph, "R", "weight_hh_l0", directions, size, order);
        var bias = directions.SelectMany(d => Ordered(graph.Values("bias_ih_l0" + d).Values, size, order).Concat(Ordered(graph.Values("bias_hh_l0" + d).Values, size, order))).ToArray();
        // Only the layout with the steps first is computed everywhere.
        var steps = graph.Node("Transpose", [input], OnnxAttribute.Ints("perm", 1, 0, 2));
        var outputs = graph.Nodes(operation, 2, [steps, weights, recurrent, graph.Constant("B", bias, [directions.Length, bias.Length / directions.Length])],
            [OnnxAttribute.Int("hidden_size", size), OnnxAttribute.Text("direction", bidirectional ? "bidirectional" : "forward"), .. more]);
        return output == RecurrentOutput.Last
            ? graph.Node("Reshape", [graph.Node("Transpose", [outputs[1]], OnnxAttribute.Ints("perm", 1, 0, 2)), graph.Shape("row", 0, -1)])
            : graph.Node("Reshape", [graph.Node("Transpose", [outputs[0]], OnnxAttribute.Ints("perm", 2, 0, 1, 3)), graph.Shape("sequence", 0, 0, -1)]);
    }

    private static IEnumerable<string> Directions(bool bidirectional) => bidirectional ? ["", "_reverse"] : [""];

    private static string Gates(OnnxGraphWriter graph, string name, string weight, string[] directions, int size, int[] order)
    {
        var columns = graph.Values(weight).Shape[1];
        var values = directions.SelectMany(d => Ordered(graph.Values(weight + d).Values, size * (int)columns, order)).ToArray();
        return graph.Constant(name, values, [directions.Length, (long)order.Length * size, columns]);
    }

    private static IEnumerable<float> Ordered(float[] values, int gate, int[] order) => order.SelectMany(g => values.Skip(g * gate).Take(gate));
}
