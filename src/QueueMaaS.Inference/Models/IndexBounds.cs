using QueueMaaS.Contracts;
using QueueMaaS.Onnx;

namespace QueueMaaS.Inference.Models;

/// <summary>
/// Finds the inputs with which a graph picks rows of a table (an embedding): an index beyond the table fails the run, and with it the whole batch, so it is better refused before.
/// Only what leads straight from the input to a <c>Gather</c> on a constant is followed; nothing is guessed.
/// </summary>
internal static class IndexBounds
{
    // They move values about without changing them.
    private static readonly HashSet<string> Carriers = new(StringComparer.Ordinal) { "Identity", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Transpose" };

    /// <summary>The signature with the bounds of its inputs.</summary>
    public static ModelSignature Add(ModelSignature signature, GraphProto graph)
    {
        var inputs = signature.Inputs.Where(static i => i.Datatype is Datatypes.Int64 or Datatypes.Int32).Select(static i => i.Name);
        var sources = inputs.ToDictionary(static name => name, static name => name, StringComparer.Ordinal);
        if (sources.Count == 0)
            return signature;
        var tables = graph.Initializer.ToDictionary(static t => t.Name, static t => t.Dims.ToArray(), StringComparer.Ordinal);
        var sizes = new Dictionary<string, long>(StringComparer.Ordinal);
        foreach (var node in graph.Node.Where(static n => n.Domain is "" or "ai.onnx" && n.Input.Count > 0 && n.Output.Count > 0))
        {
            if (Carriers.Contains(node.OpType) && sources.TryGetValue(node.Input[0], out var source))
                sources[node.Output[0]] = source;
            else if (node.OpType == "Gather" && node.Input.Count > 1 && sources.TryGetValue(node.Input[1], out var index) && tables.TryGetValue(node.Input[0], out var dims) && Size(node, dims) is { } size)
                sizes[index] = sizes.TryGetValue(index, out var other) ? Math.Min(size, other) : size;
        }

        return signature with { Inputs = [.. signature.Inputs.Select(i => sizes.TryGetValue(i.Name, out var size) ? i with { Minimum = -size, Maximum = size - 1 } : i)] };
    }

    private static long? Size(NodeProto gather, long[] dims)
    {
        var axis = gather.Attribute.FirstOrDefault(static a => a.Name == "axis")?.I ?? 0;
        axis = axis < 0 ? axis + dims.Length : axis;
        return axis >= 0 && axis < dims.Length ? dims[axis] : null;
    }
}
