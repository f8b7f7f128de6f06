using Google.Protobuf;
using QueueMaaS.Onnx;

namespace QueueMaaS.Bench;

/// <summary>A model in a file for as long as it is measured.</summary>
internal sealed class ModelFile : IDisposable
{
    public ModelFile(ModelProto model)
    {
        Path = System.IO.Path.Combine(System.IO.Path.GetTempPath(), $"queuemaas-bench-{Environment.ProcessId}-{model.Graph.Name}.onnx");
        File.WriteAllBytes(Path, model.ToByteArray());
    }

    public string Path { get; }

    public void Dispose() => File.Delete(Path);
}
