using QueueMaaS.Onnx;

namespace QueueMaaS.Inference.Models;

/// <summary>
/// Finds what lets a request end the process, or decide how long a graph computes or how large its tensors grow: divisions of whole numbers, loops, and sizes that come from the values of an input rather than from its shape. Without them a model's time and memory follow from the size of its request,
/// which is limited. What is followed is the way of values from the graph's inputs through its nodes; the values themselves are not looked at, so that a harmless model may be found. An operator that takes a size and is not listed here would be missed.
/// </summary>
internal static class ValueDependence
{
    // Which inputs of an operator say how large its output becomes.
    private static readonly Dictionary<string, int[]> Sizes = new(StringComparer.Ordinal)
    {
        ["ConstantOfShape"] = [0],
        ["Expand"] = [1],
        ["Tile"] = [1, 2],
        ["Range"] = [0, 1, 2],
        ["OneHot"] = [1],
        ["Resize"] = [2, 3],
        ["Upsample"] = [1],
        ["Pad"] = [1],
        ["CenterCropPad"] = [1],
        ["AffineGrid"] = [1],
        ["Col2Im"] = [1],
        ["MaxUnpool"] = [2],
        ["DFT"] = [1],
        ["STFT"] = [1, 3],
        ["HannWindow"] = [0],
        ["HammingWindow"] = [0],
        ["BlackmanWindow"] = [0],
        ["MelWeightMatrix"] = [0, 1, 2],
    };

    // Their own loops, for as long as their inputs say.
    private static readonly HashSet<string> Loops = new(StringComparer.Ordinal) { "Loop", "BeamSearch", "GreedySearch", "Sampling", "WhisperBeamSearch" };

    /// <summary>What was found, as the end of a sentence about the model; null where nothing was.</summary>
    public static string? Find(ModelProto model)
    {
        foreach (var function in model.Functions)
        {
            // Nothing is known of where it is called, so all that it is given may be a request's.
            if (Find(function.Node, new(function.Input, StringComparer.Ordinal), new ElementTypes()) is { } found)
                return found;
        }

        return Find(model.Graph, [], new ElementTypes());
    }

    private static string? Find(GraphProto graph, HashSet<string> outer, ElementTypes types)
    {
        types.Add(graph);
        var values = new HashSet<string>(outer, StringComparer.Ordinal);
        var weights = graph.Initializer.Select(static weight => weight.Name).ToHashSet(StringComparer.Ordinal);
        values.ExceptWith(weights);
        values.UnionWith(graph.Input.Select(static input => input.Name).Where(name => !weights.Contains(name)));
        return Find(graph.Node, values, types);
    }

    /// <param name="nodes">In an order in which each comes after what it reads, as the format asks for.</param>
    /// <param name="values">Tensors whose values may be the request's.</param>
    /// <param name="types">What is known of the tensors so far.</param>
    private static string? Find(IEnumerable<NodeProto> nodes, HashSet<string> values, ElementTypes types)
    {
        foreach (var node in nodes)
        {
            if (node.OpType is "Div" or "Mod" && node.Input.Any(values.Contains) && types.MayTrap(node))
                return $"it divides whole numbers of a request ({Name(node)}), and the least of them by −1 ends the process";
            types.Infer(node);
            if (Loops.Contains(node.OpType))
                return $"it has a loop ({Name(node)}), which may run for as long as it likes";
            if (Sizes.TryGetValue(node.OpType, out var sizes) && sizes.FirstOrDefault(at => at < node.Input.Count && values.Contains(node.Input[at]), -1) is var at and >= 0)
                return $"the values of a request decide how large a tensor becomes ({Name(node)}, by '{node.Input[at]}')";
            var inner = node.Attribute.SelectMany(static a => a.G is null ? a.Graphs.AsEnumerable() : [a.G, .. a.Graphs]).ToArray();
            foreach (var graph in inner)
            {
                if (Find(graph, values, types) is { } found)
                    return found;
            }

            // Shapes are not values; and what goes into a branch or a scan comes out of it.
            if (node.OpType is not ("Shape" or "Size") && (inner.Length > 0 || node.Input.Any(values.Contains)))
                values.UnionWith(node.Output);
        }

        return null;
    }

    private static string Name(NodeProto node) => node.Name.Length > 0 ? $"{node.OpType} '{node.Name}'" : node.OpType;
}
