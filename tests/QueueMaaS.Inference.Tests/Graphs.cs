using System.Runtime.InteropServices;
using Google.Protobuf;
using QueueMaaS.Onnx;
using static QueueMaaS.Onnx.TensorProto.Types;

namespace QueueMaaS.Inference.Tests;

/// <summary>Tiny models that the tests build for themselves. A size of -1 is free; the first free axis of each tensor is called <c>batch</c>.</summary>
internal static class Graphs
{
    public static ModelProto Identity(DataType type = DataType.Float, params long[] shape)
    {
        var graph = new GraphProto { Name = "identity" };
        graph.Input.Add(Value("x", type, shape.Length == 0 ? [-1, 3] : shape));
        graph.Output.Add(Value("y", type, shape.Length == 0 ? [-1, 3] : shape));
        graph.Node.Add(Node("Identity", ["x"], ["y"]));
        return Model(graph);
    }

    /// <summary>y = x · w + b with x [batch, 2], w = [[1, 2, 3], [4, 5, 6]], b = [0.5, 0.5, 0.5]. The weights are listed among the inputs, as old exporters do.</summary>
    public static ModelProto Linear(bool weightsAmongInputs = false)
    {
        var graph = new GraphProto { Name = "linear" };
        graph.Input.Add(Value("x", DataType.Float, [-1, 2]));
        graph.Output.Add(Value("y", DataType.Float, [-1, 3]));
        graph.Initializer.Add(Floats("w", [2, 3], 1, 2, 3, 4, 5, 6));
        graph.Initializer.Add(Floats("b", [3], 0.5f, 0.5f, 0.5f));
        if (weightsAmongInputs)
        {
            graph.Input.Add(Value("w", DataType.Float, [2, 3]));
            graph.Input.Add(Value("b", DataType.Float, [3]));
        }

        graph.Node.Add(Node("MatMul", ["x", "w"], ["product"]));
        graph.Node.Add(Node("Add", ["product", "b"], ["y"]));
        return Model(graph);
    }

    /// <summary>y = table[index] with index [batch] (int64) and ten entries: another index fails the whole run, which is a poisoned row.</summary>
    public static ModelProto Lookup()
    {
        var graph = new GraphProto { Name = "lookup" };
        graph.Input.Add(Value("index", DataType.Int64, [-1]));
        graph.Output.Add(Value("y", DataType.Float, [-1]));
        graph.Initializer.Add(Floats("table", [10], [.. Enumerable.Range(0, 10).Select(i => i * 1.5f)]));
        graph.Node.Add(Node("Gather", ["table", "index"], ["y"]));
        return Model(graph);
    }

    /// <summary>The same, but the index is computed inside the graph, so that nobody can tell a bad one before the run.</summary>
    public static ModelProto HiddenLookup()
    {
        var model = Lookup();
        model.Graph.Initializer.Add(Longs("zero", 0));
        model.Graph.Node.Insert(0, Node("Add", ["index", "zero"], ["computed"]));
        model.Graph.Node[1].Input[1] = "computed";
        return model;
    }

    /// <summary>sum = a + b, difference = a - b, both [batch, 2].</summary>
    public static ModelProto TwoInputs()
    {
        var graph = new GraphProto { Name = "two" };
        graph.Input.Add(Value("a", DataType.Float, [-1, 2]));
        graph.Input.Add(Value("b", DataType.Float, [-1, 2]));
        graph.Output.Add(Value("sum", DataType.Float, [-1, 2]));
        graph.Output.Add(Value("difference", DataType.Float, [-1, 2]));
        graph.Node.Add(Node("Add", ["a", "b"], ["sum"]));
        graph.Node.Add(Node("Sub", ["a", "b"], ["difference"]));
        return Model(graph);
    }

    /// <summary>Gives the sum over all rows, so its output has no row for each input row although its signature says nothing of it.</summary>
    public static ModelProto SumOfRows()
    {
        var graph = new GraphProto { Name = "sum" };
        graph.Input.Add(Value("x", DataType.Float, [-1, 2]));
        graph.Output.Add(Value("y", DataType.Float, [-1, 2], axis: "unk__1"));
        var node = Node("ReduceSum", ["x", "axes"], ["y"]);
        graph.Initializer.Add(Longs("axes", 0));
        node.Attribute.Add(new AttributeProto { Name = "keepdims", Type = AttributeProto.Types.AttributeType.Int, I = 1 });
        graph.Node.Add(node);
        return Model(graph);
    }

    /// <summary>y = x - mean over the batch, as a network has whose normalisation was left in training mode: right shapes, wrong answers in company.</summary>
    public static ModelProto CentredOverBatch()
    {
        var graph = new GraphProto { Name = "centred" };
        graph.Input.Add(Value("x", DataType.Float, [-1, 2]));
        graph.Output.Add(Value("y", DataType.Float, [-1, 2]));
        var mean = Node("ReduceMean", ["x"], ["mean"]);
        mean.Attribute.Add(new AttributeProto { Name = "axes", Type = AttributeProto.Types.AttributeType.Ints, Ints = { 0 } });
        graph.Node.Add(mean);
        graph.Node.Add(Node("Sub", ["x", "mean"], ["y"]));
        return Model(graph);
    }

    /// <summary>y = x · mask, all [batch, length]: padding changes nothing, since it heeds the mask.</summary>
    public static ModelProto MaskedProduct()
    {
        var graph = new GraphProto { Name = "masked" };
        graph.Input.Add(Value("x", DataType.Float, [-1, -1]));
        graph.Input.Add(Value("mask", DataType.Float, [-1, -1]));
        graph.Output.Add(Value("y", DataType.Float, [-1, -1]));
        graph.Node.Add(Node("Mul", ["x", "mask"], ["y"]));
        return Model(graph);
    }

    /// <summary>y = the mean of x over its second axis, with no mask: padding changes it.</summary>
    public static ModelProto MeanOverAxis()
    {
        var graph = new GraphProto { Name = "mean" };
        graph.Input.Add(Value("x", DataType.Float, [-1, -1]));
        graph.Output.Add(Value("y", DataType.Float, [-1, 1]));
        var mean = Node("ReduceMean", ["x"], ["y"]);
        mean.Attribute.Add(new AttributeProto { Name = "axes", Type = AttributeProto.Types.AttributeType.Ints, Ints = { 1 } });
        graph.Node.Add(mean);
        return Model(graph);
    }

    public static ModelProto WithOperator(string operation, string domain = "")
    {
        var model = Identity();
        model.Graph.Node[0].OpType = operation;
        model.Graph.Node[0].Domain = domain;
        if (domain.Length > 0)
            model.OpsetImport.Add(new OperatorSetIdProto { Domain = domain, Version = 1 });
        return model;
    }

    public static ModelProto WithExternalData()
    {
        var model = Linear();
        var weight = model.Graph.Initializer[0];
        weight.RawData = ByteString.Empty;
        weight.DataLocation = DataLocation.External;
        weight.ExternalData.Add(new StringStringEntryProto { Key = "location", Value = "weights.bin" });
        return model;
    }

    public static string Save(this ModelProto model, string path)
    {
        File.WriteAllBytes(path, model.ToByteArray());
        return path;
    }

    public static ModelProto Model(GraphProto graph)
    {
        var model = new ModelProto { IrVersion = 8, ProducerName = "tests", Graph = graph };
        model.OpsetImport.Add(new OperatorSetIdProto { Version = 17 });
        return model;
    }

    public static NodeProto Node(string operation, string[] inputs, string[] outputs)
    {
        var node = new NodeProto { OpType = operation, Name = operation.ToLowerInvariant() };
        node.Input.AddRange(inputs);
        node.Output.AddRange(outputs);
        return node;
    }

    public static ValueInfoProto Value(string name, DataType type, long[] shape, string axis = "batch")
    {
        var dimensions = new TensorShapeProto();
        for (var i = 0; i < shape.Length; i++)
        {
            dimensions.Dim.Add(shape[i] < 0
                ? new TensorShapeProto.Types.Dimension { DimParam = i == 0 ? axis : $"free{i}" }
                : new TensorShapeProto.Types.Dimension { DimValue = shape[i] });
        }

        return new() { Name = name, Type = new TypeProto { TensorType = new TypeProto.Types.TensorType { ElemType = (int)type, Shape = dimensions } } };
    }

    private static TensorProto Floats(string name, long[] shape, params float[] values)
    {
        var tensor = new TensorProto { Name = name, DataType = (int)DataType.Float, RawData = ByteString.CopyFrom(MemoryMarshal.AsBytes(values.AsSpan())) };
        tensor.Dims.AddRange(shape);
        return tensor;
    }

    public static TensorProto Longs(string name, params long[] values)
    {
        var tensor = new TensorProto { Name = name, DataType = (int)DataType.Int64, RawData = ByteString.CopyFrom(MemoryMarshal.AsBytes(values.AsSpan())) };
        tensor.Dims.Add(values.Length);
        return tensor;
    }
}
