using System.Runtime.InteropServices;
using Google.Protobuf;
using QueueMaaS.Onnx;
using QueueMaaS.Training.Specification;

namespace QueueMaaS.Training.Export;

/// <summary>Builds an ONNX graph layer by layer. All names begin with the layer's id.</summary>
public sealed class OnnxGraphWriter
{
    private readonly GraphProto _graph;
    private readonly IReadOnlyDictionary<string, WeightValues> _weights;
    private readonly HashSet<string> _stored = new(StringComparer.Ordinal);
    private string _layer = "";
    private int _node;

    internal OnnxGraphWriter(GraphProto graph, IReadOnlyDictionary<string, WeightValues> weights)
    {
        _graph = graph;
        _weights = weights;
    }

    /// <summary>So many times the same number.</summary>
    public static float[] Filled(long count, float value)
    {
        var values = new float[count];
        Array.Fill(values, value);
        return values;
    }

    /// <summary>Appends a node and answers the name of its output.</summary>
    /// <param name="operation">The operator's type.</param>
    /// <param name="inputs">The names of its inputs.</param>
    /// <param name="attributes">Its settings, from <see cref="OnnxAttribute"/>.</param>
    public string Node(string operation, IReadOnlyList<string> inputs, params IReadOnlyList<AttributeProto> attributes) => Nodes(operation, 1, inputs, attributes)[0];

    /// <summary>Appends a node with several outputs and answers their names.</summary>
    public IReadOnlyList<string> Nodes(string operation, int outputs, IReadOnlyList<string> inputs, IReadOnlyList<AttributeProto> attributes)
    {
        ArgumentNullException.ThrowIfNull(operation);
        ArgumentNullException.ThrowIfNull(inputs);
        ArgumentNullException.ThrowIfNull(attributes);
        var name = $"{_layer}/{operation.ToLowerInvariant()}{(_node == 0 ? "" : $"_{_node}")}";
        _node++;
        var node = new NodeProto { Name = name, OpType = operation };
        node.Input.AddRange(inputs);
        for (var i = 0; i < outputs; i++)
            node.Output.Add(i == 0 ? name : $"{name}.{i}");
        node.Attribute.AddRange(attributes);
        _graph.Node.Add(node);
        return node.Output;
    }

    /// <summary>Stores a weight of the layer and gives the name to refer to it by, <c>layer.weight</c>.</summary>
    public string Weight(string name)
    {
        var values = Values(name);
        return Store($"{_layer}.{name}", values.Shape, values.Values);
    }

    /// <summary>Stores a matrix of the layer with its axes swapped.</summary>
    public string Transposed(string name)
    {
        var weight = Values(name);
        var (rows, columns) = ((int)weight.Shape[0], (int)weight.Shape[1]);
        var swapped = new float[weight.Values.Length];
        for (var r = 0; r < rows; r++)
        {
            for (var c = 0; c < columns; c++)
                swapped[c * rows + r] = weight.Values[r * columns + c];
        }

        return Store($"{_layer}.{name}.transposed", [columns, rows], swapped);
    }

    /// <summary>A weight's numbers, for layers that store them in another form.</summary>
    public WeightValues Values(string name) => _weights[$"{_layer}.{name}"];

    /// <summary>Stores fixed numbers.</summary>
    public string Constant(string name, float[] values, IReadOnlyList<long> shape) => Store($"{_layer}.{name}", shape, values);

    /// <summary>Stores a list of whole numbers, as operators take shapes and axes.</summary>
    public string Shape(string name, params IReadOnlyList<long> values) => StoreWhole($"{_layer}.{name}", [values.Count], values);

    /// <summary>Stores one whole number without axes.</summary>
    public string Scalar(string name, long value) => StoreWhole($"{_layer}.{name}", [], [value]);

    /// <summary>What follows belongs to this layer.</summary>
    internal void Begin(string layer)
    {
        _layer = layer;
        _node = 0;
    }

    /// <summary>Gives a value the name that the graph promises.</summary>
    internal void Finish(string value, string output)
    {
        var node = new NodeProto { Name = output, OpType = "Identity" };
        node.Input.Add(value);
        node.Output.Add(output);
        // The last node may give the output itself, unless others take from it, too.
        if (_graph.Node.Count > 0 && _graph.Node[^1].Output.Count == 1 && _graph.Node[^1].Output[0] == value)
            _graph.Node[^1].Output[0] = output;
        else
            _graph.Node.Add(node);
    }

    private string Store(string name, IReadOnlyList<long> shape, float[] values)
    {
        if (!_stored.Add(name))
            return name;
        var tensor = new TensorProto { Name = name, DataType = (int)TensorProto.Types.DataType.Float, RawData = ByteString.CopyFrom(MemoryMarshal.AsBytes(values.AsSpan())) };
        tensor.Dims.AddRange(shape);
        _graph.Initializer.Add(tensor);
        return name;
    }

    private string StoreWhole(string name, IReadOnlyList<long> shape, IReadOnlyList<long> values)
    {
        if (!_stored.Add(name))
            return name;
        var tensor = new TensorProto { Name = name, DataType = (int)TensorProto.Types.DataType.Int64, RawData = ByteString.CopyFrom(MemoryMarshal.AsBytes(values.ToArray().AsSpan())) };
        tensor.Dims.AddRange(shape);
        _graph.Initializer.Add(tensor);
        return name;
    }
}

/// <summary>Attributes of ONNX nodes.</summary>
public static class OnnxAttribute
{
    /// <summary>One integer.</summary>
    public static AttributeProto Int(string name, long value) => new() { Name = name, Type = AttributeProto.Types.AttributeType.Int, I = value };

    /// <summary>One number.</summary>
    public static AttributeProto Float(string name, double value) => new() { Name = name, Type = AttributeProto.Types.AttributeType.Float, F = (float)value };

    /// <summary>A text.</summary>
    public static AttributeProto Text(string name, string value) => new() { Name = name, Type = AttributeProto.Types.AttributeType.String, S = ByteString.CopyFromUtf8(value) };

    /// <summary>A list of integers.</summary>
    public static AttributeProto Ints(string name, params IReadOnlyList<long> values)
    {
        var attribute = new AttributeProto { Name = name, Type = AttributeProto.Types.AttributeType.Ints };
        attribute.Ints.AddRange(values);
        return attribute;
    }
}

/// <summary>A growing list of attributes.</summary>
internal sealed class OnnxAttributes : List<AttributeProto>
{
    public OnnxAttributes Int(string name, long value)
    {
        Add(OnnxAttribute.Int(name, value));
        return this;
    }

    public OnnxAttributes Ints(string name, params IReadOnlyList<long> values)
    {
        Add(OnnxAttribute.Ints(name, values));
        return this;
    }
}
