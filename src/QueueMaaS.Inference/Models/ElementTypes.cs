using QueueMaaS.Onnx;

namespace QueueMaaS.Inference.Models;

/// <summary>
/// What a graph's tensors hold, as far as its file says or its operators tell: enough to find divisions of whole numbers. Where a processor divides the least 32 or 64 bit number by −1 it
/// stops the whole process, and ONNX Runtime does not look for that pair.
/// </summary>
internal sealed class ElementTypes
{
    private static readonly HashSet<string> Booleans = new(StringComparer.Ordinal) { "Equal", "Greater", "Less", "GreaterOrEqual", "LessOrEqual", "And", "Or", "Xor", "Not", "IsNaN", "IsInf" };
    private static readonly HashSet<string> Indices = new(StringComparer.Ordinal) { "Shape", "Size", "ArgMax", "ArgMin", "NonZero", "NonMaxSuppression" };
    private readonly Dictionary<string, int> _types = new(StringComparer.Ordinal);
    private readonly Dictionary<string, TensorProto> _constants = new(StringComparer.Ordinal);

    /// <summary>What a graph, or one within it, says of its tensors.</summary>
    public void Add(GraphProto graph)
    {
        foreach (var named in graph.Input.Concat(graph.Output).Concat(graph.ValueInfo))
        {
            if (named.Type?.TensorType is { ElemType: > 0 } tensor)
                _types[named.Name] = tensor.ElemType;
        }

        foreach (var weight in graph.Initializer)
            Add(weight.Name, weight);
    }

    /// <summary>What an operator's outputs hold, where the file does not say it.</summary>
    public void Infer(NodeProto node)
    {
        if (node.OpType == "Constant" && node.Attribute.FirstOrDefault(static a => a.T is not null)?.T is { } constant && node.Output.Count > 0)
        {
            Add(node.Output[0], constant);
            return;
        }

        var type = Result(node);
        if (type == 0)
            return;
        foreach (var output in node.Output)
            _types.TryAdd(output, type);
    }

    /// <summary>Whether a <c>Div</c> or <c>Mod</c> divides whole numbers of 32 or 64 bits by what may be −1.</summary>
    public bool MayTrap(NodeProto division) =>
        division.Input.Count == 2
        && (TypeOf(division.Input[0]) is var type and not 0 ? type : TypeOf(division.Input[1])) is (int)TensorProto.Types.DataType.Int32 or (int)TensorProto.Types.DataType.Int64
        && (!_constants.TryGetValue(division.Input[1], out var divisor) || MayHoldMinusOne(divisor));

    private void Add(string name, TensorProto tensor)
    {
        _types[name] = tensor.DataType;
        _constants[name] = tensor;
    }

    private int TypeOf(string name) => _types.GetValueOrDefault(name);

    private int Result(NodeProto node)
    {
        if (Booleans.Contains(node.OpType))
            return (int)TensorProto.Types.DataType.Bool;
        if (Indices.Contains(node.OpType))
            return (int)TensorProto.Types.DataType.Int64;
        var giver = node.OpType switch
        {
            "Cast" => -1,
            "Where" or "CastLike" or "DequantizeLinear" => 1,
            "QuantizeLinear" or "OneHot" => 2,
            _ => 0,
        };
        return giver < 0
            ? (int)(node.Attribute.FirstOrDefault(static a => a.Name == "to")?.I ?? 0)
            : giver < node.Input.Count ? TypeOf(node.Input[giver]) : 0;
    }

    private static bool MayHoldMinusOne(TensorProto divisor)
    {
        if (divisor.ExternalData.Count > 0)
            return true;
        // −1 is all ones in two's complement.
        var width = divisor.DataType == (int)TensorProto.Types.DataType.Int32 ? sizeof(int) : sizeof(long);
        var raw = divisor.RawData.Span;
        for (var at = 0; at + width <= raw.Length; at += width)
        {
            if (raw.Slice(at, width).IndexOfAnyExcept((byte)0xff) < 0)
                return true;
        }

        return divisor.Int32Data.Contains(-1) || divisor.Int64Data.Contains(-1);
    }
}
