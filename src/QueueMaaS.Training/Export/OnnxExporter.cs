using Google.Protobuf;
using QueueMaaS.Onnx;
using QueueMaaS.Training.Specification;

namespace QueueMaaS.Training.Export;

/// <summary>Writes a trained model as ONNX (IR 8, operator set 17): input <c>input</c> [batch, channels, height, width] FP32 in [0, 1], output <c>logits</c> [batch, classes].</summary>
public static class OnnxExporter
{
    /// <summary>The input's name.</summary>
    public const string InputName = "input";

    /// <summary>The output's name.</summary>
    public const string OutputName = "logits";

    private const int OperatorSet = 17;
    private const int IrVersion = 8;

    /// <summary>Builds the ONNX model. <paramref name="lineage"/> is stored in its metadata: where it comes from.</summary>
    public static ModelProto Export(BuiltModel model, IReadOnlyDictionary<string, string> lineage)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(lineage);
        var graph = new GraphProto { Name = model.Specification.Name };
        graph.Input.Add(Value(InputName, model.Input));
        graph.Output.Add(Value(OutputName, model.Output));
        var writer = new OnnxGraphWriter(graph, InputName);
        for (var i = 0; i < model.Modules.Count; i++)
            model.Specification.Layers[i].Write(writer, model.Modules[i]);
        writer.Finish(OutputName);

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
        return new() { Name = name, Type = new() { TensorType = new() { ElemType = (int)TensorProto.Types.DataType.Float, Shape = sizes } } };
    }
}
