using QueueMaaS.Contracts;
using QueueMaaS.Inference.Preparation;
using QueueMaaS.Inference.Sessions;
using QueueMaaS.Jobs.Catalog;
using QueueMaaS.Onnx;

namespace QueueMaaS.Inference.Models;

/// <summary>Looks at an ONNX file before it becomes a model version.</summary>
public sealed class OnnxModelInspector : IModelInspector
{
    /// <summary>Checks the structure of the file at <paramref name="path"/>, loads it once on the CPU to see that every operator is there, reads its signature, and tries whether a row gets the same answer in every batch and padding.</summary>
    /// <exception cref="ProblemException"><c>not_an_onnx_model</c>, <c>external_data_missing</c>, <c>unsupported_operator</c> or <c>invalid_value</c>.</exception>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    public ModelInspection Inspect(string path, BatchingSettings? batching = null)
    {
        var file = OnnxFile.Read(path);
        // What a package holds lies in a folder of its own; a file by itself stands among foreign ones.
        OnnxFile.Validate(file, ModelPackage.IsUnpacked(path) ? Path.GetDirectoryName(path) : null);
        using var model = OnnxModel.Load(path, Environment.ProcessorCount);
        if (batching is not null)
            BatchingCheck.Check(batching, model.Signature);
        return new(IndexBounds.Add(model.Signature, file.Graph), BatchInvariance.Check(model), batching?.Ragged is { } ragged ? PaddingInvariance.Check(model, ragged) : null);
    }
}
