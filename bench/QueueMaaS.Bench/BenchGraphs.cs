using System.Runtime.InteropServices;
using Google.Protobuf;
using QueueMaaS.Onnx;
using static QueueMaaS.Onnx.TensorProto.Types;

namespace QueueMaaS.Bench;

/// <summary>The two models measured, with random weights: speed does not depend on what they learned.</summary>
internal static class BenchGraphs
{
    /// <summary>784-128-10 with a ReLU between.</summary>
    public static ModelProto Mlp()
    {
        var chain = new Chain("mlp", [784]);
        chain.Add("Gemm", chain.Weight(784, 128), chain.Weight(128));
        chain.Add("Relu");
        chain.Add("Gemm", chain.Weight(128, 10), chain.Weight(10));
        return chain.Finish(10);
    }

    /// <summary>The layers of the preset cnn-small: 3×3 convolutions of 32, 64 and 64 channels with pooling between, then 64 and 10 units.</summary>
    public static ModelProto CnnSmall()
    {
        var chain = new Chain("cnn-small", [3, 32, 32]);
        chain.Add("Conv", chain.Weight(32, 3, 3, 3), chain.Weight(32));
        chain.Add("Relu");
        chain.Pool();
        chain.Add("Conv", chain.Weight(64, 32, 3, 3), chain.Weight(64));
        chain.Add("Relu");
        chain.Pool();
        chain.Add("Conv", chain.Weight(64, 64, 3, 3), chain.Weight(64));
        chain.Add("Relu");
        chain.Add("Flatten");
        chain.Add("Gemm", chain.Weight(1024, 64), chain.Weight(64));
        chain.Add("Relu");
        chain.Add("Gemm", chain.Weight(64, 10), chain.Weight(10));
        return chain.Finish(10);
    }

    private sealed class Chain
    {
        private readonly GraphProto _graph = new();
        private readonly Random _random = new(1);
        private string _last = "x";

        public Chain(string name, long[] row)
        {
            _graph.Name = name;
            _graph.Input.Add(Value("x", row));
        }

        public string Weight(params long[] shape)
        {
            var values = new float[shape.Aggregate(1L, (a, b) => a * b)];
            for (var i = 0; i < values.Length; i++)
                values[i] = (_random.NextSingle() - 0.5f) / 10;
            var tensor = new TensorProto { Name = $"w{_graph.Initializer.Count}", DataType = (int)DataType.Float, RawData = ByteString.CopyFrom(MemoryMarshal.AsBytes(values.AsSpan())) };
            tensor.Dims.AddRange(shape);
            _graph.Initializer.Add(tensor);
            return tensor.Name;
        }

        public NodeProto Add(string operation, params string[] weights)
        {
            var node = new NodeProto { OpType = operation, Name = $"n{_graph.Node.Count}" };
            node.Input.Add(_last);
            node.Input.AddRange(weights);
            node.Output.Add(_last = $"h{_graph.Node.Count}");
            _graph.Node.Add(node);
            return node;
        }

        public void Pool()
        {
            var node = Add("MaxPool");
            foreach (var name in (string[])["kernel_shape", "strides"])
            {
                var attribute = new AttributeProto { Name = name, Type = AttributeProto.Types.AttributeType.Ints };
                attribute.Ints.AddRange([2, 2]);
                node.Attribute.Add(attribute);
            }
        }

        public ModelProto Finish(long outputs)
        {
            _graph.Output.Add(Value(_last, [outputs]));
            var model = new ModelProto { IrVersion = 8, Graph = _graph };
            model.OpsetImport.Add(new OperatorSetIdProto { Version = 17 });
            return model;
        }

        private static ValueInfoProto Value(string name, long[] row)
        {
            var shape = new TensorShapeProto();
            shape.Dim.Add(new TensorShapeProto.Types.Dimension { DimParam = "batch" });
            shape.Dim.AddRange(row.Select(r => new TensorShapeProto.Types.Dimension { DimValue = r }));
            return new() { Name = name, Type = new TypeProto { TensorType = new TypeProto.Types.TensorType { ElemType = (int)DataType.Float, Shape = shape } } };
        }
    }
}
