using QueueMaaS.Onnx;

namespace QueueMaaS.Inference.Models;

/// <summary>Operators that draw numbers by chance, so that a model's answers cannot be had again.</summary>
internal static class RandomOperators
{
    private static readonly HashSet<string> Names = new(StringComparer.Ordinal) { "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial" };

    /// <summary>Those that a model has, by name; null where it has none.</summary>
    public static string? Find(ModelProto model)
    {
        string[] found = [.. In(model.Graph.Node).Concat(model.Functions.SelectMany(static function => In(function.Node))).Distinct().Order(StringComparer.Ordinal)];
        return found.Length == 0 ? null : string.Join(", ", found);
    }

    private static IEnumerable<string> In(IEnumerable<NodeProto> nodes) => nodes.SelectMany(static node =>
        node.Attribute.SelectMany(static attribute => attribute.G is null ? attribute.Graphs.AsEnumerable() : [attribute.G, .. attribute.Graphs]).SelectMany(static graph => In(graph.Node))
            .Concat(Names.Contains(node.OpType) ? [node.OpType] : []));
}
