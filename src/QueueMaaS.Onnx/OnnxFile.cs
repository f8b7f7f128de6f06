using Google.Protobuf;
using QueueMaaS.Contracts;

namespace QueueMaaS.Onnx;

/// <summary>Reads and judges ONNX files without running them.</summary>
public static class OnnxFile
{
    /// <summary>Graphs inside graphs deeper than this are refused: no real model has them, and each level is a call.</summary>
    private const int MaxNesting = 32;

    /// <summary>Reads the model in the file at <paramref name="path"/>.</summary>
    /// <exception cref="ProblemException"><c>not_an_onnx_model</c> where the bytes are none, or where a model is cut short.</exception>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    public static ModelProto Read(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        using var stream = File.OpenRead(path);
        return Read(stream);
    }

    /// <summary>Reads the model from <paramref name="stream"/> to its end.</summary>
    /// <exception cref="ProblemException"><c>not_an_onnx_model</c> where the bytes are none, or where a model is cut short.</exception>
    public static ModelProto Read(Stream stream)
    {
        ArgumentNullException.ThrowIfNull(stream);
        if (stream.CanSeek && stream.Length - stream.Position > int.MaxValue)
            throw NotAModel("It is larger than 2 GiB, the most a protobuf file may be. Models of that size are not supported.");
        ModelProto model;
        try
        {
            model = ModelProto.Parser.ParseFrom(stream);
        }
        catch (InvalidProtocolBufferException e)
        {
            throw new ProblemException(Describe("Its bytes cannot be read as one: it is another kind of file, or it was cut short on its way."), e);
        }

        // A protobuf reader skips fields that it does not know, so foreign bytes may parse by chance: look for what every model has.
        RequireModel(model);
        return model;
    }

    /// <summary>Checks the structure that every model has, and that all its weights are there: inside it or, where a <paramref name="folder"/> is given, in files of that folder.</summary>
    /// <exception cref="ProblemException"><c>not_an_onnx_model</c> (a part is missing), <c>external_data_missing</c> (weights in a file that is not there) or <c>archive_path_escape</c> (in one outside the folder).</exception>
    public static void Validate(ModelProto model, string? folder = null)
    {
        ArgumentNullException.ThrowIfNull(model);
        RequireModel(model);
        if (model.Graph.Output.Count == 0)
            throw NotAModel("Its graph has no outputs. Export the model again.");
        foreach (var node in Nodes(model))
        {
            if (node.OpType.Length == 0)
                throw NotAModel($"Node '{node.Name}' of its graph names no operator. Export the model again.");
        }

        var external = ExternalData(model);
        if (folder is not null)
        {
            foreach (var (tensor, file) in external)
                RequireFile(folder, tensor, file);
        }
        else if (external.Count > 0)
        {
            var (tensor, file) = external[0];
            throw new ProblemException(
                ProblemCodes.ExternalDataMissing,
                $"The weights of tensor '{tensor}' are kept in a second file, '{file}'{(external.Count > 1 ? $" ({external.Count} tensors in all)" : "")}, which is not part of this one. "
                + "Save the model as a single file (in Python: onnx.save(onnx.load('model.onnx'), 'single.onnx', save_as_external_data=False)), or pack it with that file as a zip, and upload that.",
                ("tensor", tensor), ("file", file), ("tensors", external.Count));
        }
    }

    /// <summary>The operators that the model uses, sub-graphs and functions included, each once and sorted: <c>Conv</c> for the standard domain, else <c>com.microsoft:Gelu</c>.</summary>
    public static IReadOnlyList<string> Operators(ModelProto model)
    {
        ArgumentNullException.ThrowIfNull(model);
        return Nodes(model)
            .Select(n => n.Domain is "" or "ai.onnx" ? n.OpType : $"{n.Domain}:{n.OpType}")
            .Distinct(StringComparer.Ordinal)
            .Order(StringComparer.Ordinal)
            .ToList();
    }

    /// <summary>Tensors whose values lie outside the model, with the file each names; sub-graphs, attributes and functions included.</summary>
    public static IReadOnlyList<(string Tensor, string File)> ExternalData(ModelProto model)
    {
        ArgumentNullException.ThrowIfNull(model);
        return Tensors(model)
            .Where(t => t.DataLocation == TensorProto.Types.DataLocation.External || t.ExternalData.Count > 0)
            .Select(t => (t.Name, t.ExternalData.FirstOrDefault(e => e.Key == "location")?.Value ?? "(unnamed)"))
            .ToList();
    }

    private static void RequireFile(string folder, string tensor, string file)
    {
        var root = Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder)) + Path.DirectorySeparatorChar;
        var path = Path.GetFullPath(Path.Combine(root, file));
        if (!path.StartsWith(root, StringComparison.Ordinal))
            throw new ProblemException(ProblemCodes.ArchivePathEscape, $"The weights of tensor '{tensor}' are said to lie in '{file}', outside the archive. Use relative paths beside the model.", ("tensor", tensor), ("file", file));
        if (!File.Exists(path))
            throw new ProblemException(ProblemCodes.ExternalDataMissing, $"The weights of tensor '{tensor}' are kept in '{file}', which is not in the archive. Pack it beside the model.", ("tensor", tensor), ("file", file));
    }

    private static void RequireModel(ModelProto model)
    {
        if (model.IrVersion <= 0 || model.Graph is null)
            throw NotAModel("It has no graph.");
        if (model.OpsetImport.Count == 0)
            throw NotAModel("It does not say which operator set it uses (opset_import is empty).");
        if (model.Graph.Node.Count == 0 && model.Graph.Output.Count == 0)
            throw NotAModel("Its graph is empty.");
    }

    private static IEnumerable<NodeProto> Nodes(ModelProto model)
    {
        foreach (var graph in Graphs(model))
        {
            foreach (var node in graph.Node)
                yield return node;
        }

        foreach (var node in model.Functions.SelectMany(f => f.Node))
            yield return node;
    }

    private static IEnumerable<TensorProto> Tensors(ModelProto model)
    {
        foreach (var graph in Graphs(model))
        {
            foreach (var tensor in graph.Initializer)
                yield return tensor;
            foreach (var tensor in graph.SparseInitializer.SelectMany(Parts))
                yield return tensor;
        }

        var attributes = Nodes(model).SelectMany(n => n.Attribute).Concat(model.Functions.SelectMany(f => f.AttributeProto));
        foreach (var attribute in attributes)
        {
            if (attribute.T is not null)
                yield return attribute.T;
            foreach (var tensor in attribute.Tensors)
                yield return tensor;
            foreach (var tensor in attribute.SparseTensors.Concat(attribute.SparseTensor is null ? [] : [attribute.SparseTensor]).SelectMany(Parts))
                yield return tensor;
        }
    }

    private static IEnumerable<TensorProto> Parts(SparseTensorProto sparse)
    {
        if (sparse.Values is not null)
            yield return sparse.Values;
        if (sparse.Indices is not null)
            yield return sparse.Indices;
    }

    private static IEnumerable<GraphProto> Graphs(ModelProto model)
    {
        var pending = new Stack<(GraphProto Graph, int Depth)>();
        pending.Push((model.Graph, 0));
        foreach (var info in model.TrainingInfo)
        {
            if (info.Initialization is not null)
                pending.Push((info.Initialization, 0));
            if (info.Algorithm is not null)
                pending.Push((info.Algorithm, 0));
        }

        foreach (var attribute in model.Functions.SelectMany(f => f.Node).SelectMany(n => n.Attribute))
            PushInner(attribute, 0);
        while (pending.TryPop(out var next))
        {
            if (next.Depth > MaxNesting)
                throw NotAModel($"Its graphs are nested more than {MaxNesting} deep.");
            yield return next.Graph;
            foreach (var attribute in next.Graph.Node.SelectMany(n => n.Attribute))
                PushInner(attribute, next.Depth + 1);
        }

        void PushInner(AttributeProto attribute, int depth)
        {
            if (attribute.G is not null)
                pending.Push((attribute.G, depth));
            foreach (var graph in attribute.Graphs)
                pending.Push((graph, depth));
        }
    }

    private static ProblemException NotAModel(string reason) => new(Describe(reason));

    private static Problem Describe(string reason) => Problem.Create(
        ProblemCodes.NotAnOnnxModel,
        $"The file is not an ONNX model. {reason} Give a single .onnx file as exported (in PyTorch: torch.onnx.export).");
}
