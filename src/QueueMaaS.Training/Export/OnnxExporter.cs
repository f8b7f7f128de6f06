using Google.Protobuf;
using QueueMaaS.Onnx;
using QueueMaaS.Training.Specification;

namespace QueueMaaS.Training.Export;

/// <summary>Writes a model as ONNX (IR 8, operator set 17) with a free batch axis: input <c>input</c> (FP32, or <c>input_ids</c> INT64 for token ids), output <c>logits</c>. Loads no libtorch.</summary>
public static class OnnxExporter
{
    /// <summary>The input's name.</summary>
    public const string InputName = "input";

    /// <summary>The input's name where it takes token ids.</summary>
    public const string TokensName = "input_ids";

    /// <summary>The output's name.</summary>
    public const string OutputName = "logits";

    private const int OperatorSet = 17;
    private const int IrVersion = 8;

    /// <summary>The name of the input of a model that takes this shape.</summary>
    public static string InputNameOf(TensorShape input) => input is { IsTokens: true } ? TokensName : InputName;

    /// <summary>Builds the ONNX model. <paramref name="lineage"/> is stored in its metadata: where it comes from.</summary>
    public static ModelProto Export(BuiltModel model, IReadOnlyDictionary<string, string> lineage)
    {
        ArgumentNullException.ThrowIfNull(model);
        return Export(model.Specification, model.Input, WeightValues.Of(model), lineage);
    }

    /// <summary>Builds the ONNX model from stored weights.</summary>
    public static ModelProto Export(ModelSpecification specification, TensorShape input, IReadOnlyDictionary<string, WeightValues> weights, IReadOnlyDictionary<string, string> lineage)
    {
        ArgumentNullException.ThrowIfNull(specification);
        ArgumentNullException.ThrowIfNull(lineage);
        var shapes = specification.Inputs(input);
        var graph = new GraphProto { Name = specification.Name };
        graph.Input.Add(Value(InputNameOf(input), input));
        graph.Output.Add(Value(OutputName, shapes[^1].Output));
        var writer = new OnnxGraphWriter(graph, weights);
        var values = new Dictionary<string, string>(StringComparer.Ordinal) { [ModelSpecification.InputId] = InputNameOf(input) };
        var last = "";
        for (var i = 0; i < specification.Nodes.Count; i++)
        {
            var node = specification.Nodes[i];
            writer.Begin(node.Id);
            last = node.Layer.Write(writer, [.. node.From.Select(from => values[from])], shapes[i].Inputs);
            values[node.Id] = last;
        }

        writer.Finish(last, OutputName);
        var proto = new ModelProto
        {
            IrVersion = IrVersion,
            ProducerName = "queuemaas",
            ProducerVersion = typeof(OnnxExporter).Assembly.GetName().Version?.ToString(3) ?? "",
            Graph = graph,
        };
        proto.OpsetImport.Add(new OperatorSetIdProto { Version = OperatorSet });
        foreach (var (key, value) in lineage.OrderBy(l => l.Key, StringComparer.Ordinal))
            proto.MetadataProps.Add(new StringStringEntryProto { Key = key, Value = value });
        return proto;
    }

    /// <summary>Writes the model to a file.</summary>
    public static void Save(ModelProto model, string path)
    {
        ArgumentNullException.ThrowIfNull(model);
        using var file = File.Create(path);
        model.WriteTo(file);
    }

    private static ValueInfoProto Value(string name, TensorShape shape)
    {
        var sizes = new TensorShapeProto();
        sizes.Dim.Add(new TensorShapeProto.Types.Dimension { DimParam = "batch" });
        foreach (var size in shape.Sizes)
            sizes.Dim.Add(new TensorShapeProto.Types.Dimension { DimValue = size });
        var type = shape.IsTokens ? TensorProto.Types.DataType.Int64 : TensorProto.Types.DataType.Float;
        return new() { Name = name, Type = new() { TensorType = new() { ElemType = (int)type, Shape = sizes } } };
    }
}
