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
