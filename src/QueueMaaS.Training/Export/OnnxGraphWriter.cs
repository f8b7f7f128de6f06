using Google.Protobuf;
using QueueMaaS.Onnx;
using TorchSharp;

namespace QueueMaaS.Training.Export;

/// <summary>Builds a chain of ONNX nodes; every node's first input is the output of the one before.</summary>
public sealed class OnnxGraphWriter
{
    private readonly GraphProto _graph;
    private string _last;
    private int _layer;

    internal OnnxGraphWriter(GraphProto graph, string input)
    {
        _graph = graph;
        _last = input;
    }

    /// <summary>Appends a node.</summary>
    /// <param name="operation">The operator's type.</param>
    /// <param name="weights">Further inputs, from <see cref="Weight"/>.</param>
    /// <param name="attributes">Its settings, from <see cref="OnnxAttribute"/>.</param>
    public void Add(string operation, IReadOnlyList<string> weights, params AttributeProto[] attributes)
    {
        ArgumentNullException.ThrowIfNull(weights);
        ArgumentNullException.ThrowIfNull(attributes);
        var output = $"layer{_layer}_{operation.ToLowerInvariant()}";
        var node = new NodeProto { Name = $"layer{_layer}", OpType = operation };
        node.Input.Add(_last);
        node.Input.AddRange(weights);
        node.Output.Add(output);
        node.Attribute.AddRange(attributes);
        _graph.Node.Add(node);
        _last = output;
        _layer++;
    }

    /// <summary>Stores a trained tensor with the layer that is about to be added, and gives the name to refer to it by.</summary>
    public string Weight(string name, torch.Tensor values)
    {
        ArgumentNullException.ThrowIfNull(values);
        using var scope = torch.NewDisposeScope();
        var plain = values.detach().cpu().contiguous();
        var tensor = new TensorProto { Name = $"layer{_layer}.{name}", DataType = (int)TensorProto.Types.DataType.Float, RawData = ByteString.CopyFrom(plain.bytes) };
        tensor.Dims.AddRange(plain.shape);
        _graph.Initializer.Add(tensor);
        return tensor.Name;
    }

    /// <summary>Gives the last node's output the name that the graph promises.</summary>
    internal void Finish(string output)
    {
        if (_graph.Node.Count == 0)
            throw new InvalidOperationException("A graph needs at least one layer.");
        _graph.Node[^1].Output[0] = output;
    }
}

/// <summary>Attributes of ONNX nodes.</summary>
public static class OnnxAttribute
{
    /// <summary>One integer.</summary>
    public static AttributeProto Int(string name, long value) => new() { Name = name, Type = AttributeProto.Types.AttributeType.Int, I = value };

    /// <summary>A list of integers.</summary>
    public static AttributeProto Ints(string name, params long[] values)
    {
        var attribute = new AttributeProto { Name = name, Type = AttributeProto.Types.AttributeType.Ints };
        attribute.Ints.AddRange(values);
        return attribute;
    }
}
