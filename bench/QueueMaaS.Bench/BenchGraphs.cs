using System.Runtime.InteropServices;
using Google.Protobuf;
using QueueMaaS.Onnx;
using static QueueMaaS.Onnx.TensorProto.Types;

namespace QueueMaaS.Bench;

/// <summary>The models measured, with random weights: speed does not depend on what they learned.</summary>
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

    /// <summary>Tokens of a row of <see cref="Embedding"/>.</summary>
    public const int Tokens = 16;

    /// <summary>x of [batch, length, 64] through a layer of 64 units to its mean over the length.</summary>
    public static ModelProto Sequence()
    {
        var chain = new Chain("sequence", [-1, 64]);
        chain.Add("MatMul", chain.Weight(64, 64));
        chain.Add("Relu");
        chain.Reduce();
        return chain.Finish(64);
    }

    /// <summary>16 ids of 1,000 embeddings of 64 numbers, then 128 and 10 units. Hidden: the graph adds 0 to the ids, so that their bounds cannot be read from it.</summary>
    public static ModelProto Embedding(bool hidden)
    {
        var chain = new Chain(hidden ? "embedding-hidden" : "embedding", [Tokens], "ids", DataType.Int64);
        if (hidden)
            chain.Add("Add", chain.Zero());
        chain.LookUp(chain.Weight(1000, 64));
        chain.Add("Flatten");
        chain.Add("Gemm", chain.Weight(Tokens * 64, 128), chain.Weight(128));
        chain.Add("Relu");
        chain.Add("Gemm", chain.Weight(128, 10), chain.Weight(10));
        return chain.Finish(10);
    }

    private sealed class Chain
    {
        private readonly GraphProto _graph = new();
        private readonly Random _random = new(1);
        private string _last;

        public Chain(string name, long[] row, string input = "x", DataType type = DataType.Float)
        {
            _graph.Name = name;
            _last = input;
            _graph.Input.Add(Value(input, row, type));
        }

        public string Zero()
        {
            var tensor = new TensorProto { Name = "zero", DataType = (int)DataType.Int64, RawData = ByteString.CopyFrom(new byte[8]) };
            tensor.Dims.Add(1);
            _graph.Initializer.Add(tensor);
            return tensor.Name;
        }

        public void LookUp(string table)
        {
            var node = Add("Gather");
            node.Input.Insert(0, table);
        }

        public void Reduce()
        {
            var node = Add("ReduceMean");
            var axes = new AttributeProto { Name = "axes", Type = AttributeProto.Types.AttributeType.Ints };
            axes.Ints.Add(1);
            node.Attribute.Add(axes);
            node.Attribute.Add(new AttributeProto { Name = "keepdims", Type = AttributeProto.Types.AttributeType.Int, I = 0 });
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
            _graph.Output.Add(Value(_last, [outputs], DataType.Float));
            var model = new ModelProto { IrVersion = 8, Graph = _graph };
            model.OpsetImport.Add(new OperatorSetIdProto { Version = 17 });
            return model;
        }

        private static ValueInfoProto Value(string name, long[] row, DataType type)
        {
            var shape = new TensorShapeProto();
            shape.Dim.Add(new TensorShapeProto.Types.Dimension { DimParam = "batch" });
            shape.Dim.AddRange(row.Select((r, axis) => r < 0 ? new TensorShapeProto.Types.Dimension { DimParam = $"free{axis}" } : new TensorShapeProto.Types.Dimension { DimValue = r }));
            return new() { Name = name, Type = new TypeProto { TensorType = new TypeProto.Types.TensorType { ElemType = (int)type, Shape = shape } } };
        }
    }
}
