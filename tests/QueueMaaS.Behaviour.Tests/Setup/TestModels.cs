using Google.Protobuf;
using QueueMaaS.Onnx;

namespace QueueMaaS.Behaviour.Tests.Setup;

/// <summary>Tiny ONNX files, made on the spot.</summary>
public static class TestModels
{
    /// <summary>y = 2·x for x of [N, 2] FP32.</summary>
    public static byte[] Double() => Model("Add", Value("x"), Value("y"), node =>
    {
        node.Input.Add("x");
        node.Input.Add("x");
    });

    /// <summary>y = √x for x of [N, 2] FP32: no number for negative ones.</summary>
    public static byte[] SquareRoot() => Model("Sqrt", Value("x"), Value("y"), node => node.Input.Add("x"));

    /// <summary>A graph with an operator that no runtime has.</summary>
    public static byte[] UnknownOperator() => Model("Frobnicate", Value("x"), Value("y"), node => node.Input.Add("x"));

    /// <summary>A graph whose weights lie in another file.</summary>
    public static byte[] ExternalData()
    {
        var model = ModelProto.Parser.ParseFrom(Double());
        var weights = new TensorProto { Name = "w", DataType = (int)TensorProto.Types.DataType.Float, DataLocation = TensorProto.Types.DataLocation.External };
        weights.Dims.Add(2);
        weights.ExternalData.Add(new StringStringEntryProto { Key = "location", Value = "../../etc/passwd" });
        model.Graph.Initializer.Add(weights);
        return model.ToByteArray();
    }

    /// <summary>y = x + w for x of [N, 2] FP32, with w in a file at <paramref name="location"/>.</summary>
    public static byte[] WithWeightsBeside(string location)
    {
        var model = ModelProto.Parser.ParseFrom(Model("Add", Value("x"), Value("y"), node =>
        {
            node.Input.Add("x");
            node.Input.Add("w");
        }));
        var weights = new TensorProto { Name = "w", DataType = (int)TensorProto.Types.DataType.Float, DataLocation = TensorProto.Types.DataLocation.External };
        weights.Dims.Add(2);
        weights.ExternalData.Add(new StringStringEntryProto { Key = "location", Value = location });
        model.Graph.Initializer.Add(weights);
        return model.ToByteArray();
    }

    /// <summary>y = x, of any element type and shape; the first axis is the batch, -1 a free one.</summary>
    public static byte[] Identity(TensorProto.Types.DataType type, params long[] row)
    {
        var model = ModelProto.Parser.ParseFrom(Model("Identity", Value("x"), Value("y"), node => node.Input.Add("x")));
        foreach (var value in (ValueInfoProto[])[model.Graph.Input[0], model.Graph.Output[0]])
        {
            var tensor = value.Type.TensorType;
            tensor.ElemType = (int)type;
            tensor.Shape.Dim.RemoveAt(1);
            foreach (var (axis, size) in row.Index())
                tensor.Shape.Dim.Add(size < 0 ? new TensorShapeProto.Types.Dimension { DimParam = $"free{axis}" } : new TensorShapeProto.Types.Dimension { DimValue = size });
        }

        return model.ToByteArray();
    }

    /// <summary>Takes x of a fixed shape and gives the same y for every one: y = values + 0 · x[0, 0 …].</summary>
    public static byte[] Constant(long[] input, long[] output, float[] values)
    {
        var model = ModelProto.Parser.ParseFrom(Model("ReduceSum", Value("x"), Value("y"), node => node.Input.Add("x")));
        Shape(model.Graph.Input[0], input);
        Shape(model.Graph.Output[0], output);
        var sum = model.Graph.Node[0];
        sum.Output[0] = "sum";
        sum.Attribute.Add(new AttributeProto { Name = "keepdims", Type = AttributeProto.Types.AttributeType.Int, I = 0 });
        AddNode(model.Graph, "Mul", ["sum", "zero"], "nothing");
        AddNode(model.Graph, "Add", ["values", "nothing"], "y");
        model.Graph.Initializer.Add(Floats("zero", [], 0));
        model.Graph.Initializer.Add(Floats("values", output, values));
        return model.ToByteArray();
    }

    /// <summary>Takes x of [N, 2] through ten layers of 1,200 units: some 29 million operations a row, in a file of a few hundred bytes.</summary>
    public static byte[] Slow()
    {
        const long Width = 1200;
        var model = ModelProto.Parser.ParseFrom(Model("ConstantOfShape", Value("x"), Value("y"), node => node.Input.Add("square")));
        var graph = model.Graph;
        graph.Node[0].Output[0] = "layer";
        AddNode(graph, "ConstantOfShape", ["wide"], "in");
        AddNode(graph, "ConstantOfShape", ["narrow"], "out");
        AddNode(graph, "MatMul", ["x", "in"], "h0");
        for (var i = 0; i < 10; i++)
        {
            AddNode(graph, "MatMul", [$"h{i}", "layer"], $"m{i}");
            AddNode(graph, "Sin", [$"m{i}"], $"h{i + 1}");
        }

        AddNode(graph, "MatMul", ["h10", "out"], "y");
        foreach (var (name, rows, columns) in new[] { ("square", Width, Width), ("wide", 2L, Width), ("narrow", Width, 2L) })
        {
            var shape = new TensorProto { Name = name, DataType = (int)TensorProto.Types.DataType.Int64 };
            shape.Dims.Add(2);
            shape.Int64Data.AddRange([rows, columns]);
            graph.Initializer.Add(shape);
        }

        return model.ToByteArray();
    }

    /// <summary>y = 0, found among x[0] zeros: each request says how much memory that takes.</summary>
    public static byte[] AsMuchMemoryAsAsked()
    {
        var model = ModelProto.Parser.ParseFrom(Model("Cast", Value("x"), Value("y"), node => node.Input.Add("x")));
        var graph = model.Graph;
        Shape(graph.Input[0], [1]);
        Shape(graph.Output[0], [1]);
        graph.Node[0].Output[0] = "n";
        graph.Node[0].Attribute.Add(new AttributeProto { Name = "to", Type = AttributeProto.Types.AttributeType.Int, I = (int)TensorProto.Types.DataType.Int64 });
        AddNode(graph, "ConstantOfShape", ["n"], "zeros");
        AddNode(graph, "ReduceMax", ["zeros"], "y");
        return model.ToByteArray();
    }

    /// <summary>y = x[0] numbers, all −1/3: each request says how large its answer is.</summary>
    public static byte[] AsLargeAnAnswerAsAsked()
    {
        var model = ModelProto.Parser.ParseFrom(AsMuchMemoryAsAsked());
        var graph = model.Graph;
        graph.Output[0].Type.TensorType.Shape = new TensorShapeProto { Dim = { new TensorShapeProto.Types.Dimension { DimParam = "size" } } };
        graph.Node[1].Output[0] = "y";
        graph.Node[1].Attribute.Add(new AttributeProto { Name = "value", Type = AttributeProto.Types.AttributeType.Tensor, T = Floats("third", [1], -1 / 3f) });
        graph.Node.RemoveAt(2);
        return model.ToByteArray();
    }

    /// <summary>y = the greatest of a square of n × n numbers, all x, under a window of half its size: a single operator that takes n to the power of four.</summary>
    public static byte[] AsMuchTimeAsItLikes(long n)
    {
        var model = ModelProto.Parser.ParseFrom(Model("Expand", Value("x"), Value("y"), node => node.Input.Add(["x", "size"])));
        var graph = model.Graph;
        Shape(graph.Input[0], [1]);
        graph.Output[0].Type.TensorType.Shape = null;
        graph.Node[0].Output[0] = "square";
        AddNode(graph, "MaxPool", ["square"], "y");
        graph.Node[1].Attribute.Add(new AttributeProto { Name = "kernel_shape", Type = AttributeProto.Types.AttributeType.Ints, Ints = { n / 2, n / 2 } });
        var size = new TensorProto { Name = "size", DataType = (int)TensorProto.Types.DataType.Int64, Int64Data = { 1, 1, n, n } };
        size.Dims.Add(4);
        graph.Initializer.Add(size);
        return model.ToByteArray();
    }

    private static void Shape(ValueInfoProto value, long[] shape)
    {
        value.Type.TensorType.Shape = new TensorShapeProto();
        value.Type.TensorType.Shape.Dim.AddRange(shape.Select(size => new TensorShapeProto.Types.Dimension { DimValue = size }));
    }

    private static void AddNode(GraphProto graph, string operation, string[] inputs, string output)
    {
        var node = new NodeProto { OpType = operation, Name = $"make-{output}" };
        node.Input.AddRange(inputs);
        node.Output.Add(output);
        graph.Node.Add(node);
    }

    private static TensorProto Floats(string name, long[] shape, params float[] values)
    {
        var tensor = new TensorProto { Name = name, DataType = (int)TensorProto.Types.DataType.Float };
        tensor.Dims.AddRange(shape);
        tensor.FloatData.AddRange(values);
        return tensor;
    }

    /// <summary>y = x·w for x of [N, <paramref name="width"/>], w of zeros: a file of about width² × 4 bytes.</summary>
    public static byte[] Zeros(int width)
    {
        var model = ModelProto.Parser.ParseFrom(Model("MatMul", Value("x", width), Value("y", width), node =>
        {
            node.Input.Add("x");
            node.Input.Add("w");
        }));
        var weights = new TensorProto { Name = "w", DataType = (int)TensorProto.Types.DataType.Float, RawData = ByteString.CopyFrom(new byte[width * width * 4]) };
        weights.Dims.Add([width, width]);
        model.Graph.Initializer.Add(weights);
        return model.ToByteArray();
    }

    private static byte[] Model(string op, ValueInfoProto input, ValueInfoProto output, Action<NodeProto> wire)
    {
        var node = new NodeProto { OpType = op, Name = "n" };
        wire(node);
        node.Output.Add("y");
        var graph = new GraphProto { Name = "test" };
        graph.Node.Add(node);
        graph.Input.Add(input);
        graph.Output.Add(output);
        var model = new ModelProto { IrVersion = 8, Graph = graph };
        model.OpsetImport.Add(new OperatorSetIdProto { Version = 17 });
        return model.ToByteArray();
    }

    private static ValueInfoProto Value(string name, int width = 2)
    {
        var shape = new TensorShapeProto();
        shape.Dim.Add(new TensorShapeProto.Types.Dimension { DimParam = "batch" });
        shape.Dim.Add(new TensorShapeProto.Types.Dimension { DimValue = width });
        return new ValueInfoProto { Name = name, Type = new TypeProto { TensorType = new TypeProto.Types.TensorType { ElemType = (int)TensorProto.Types.DataType.Float, Shape = shape } } };
    }
}
