using QueueMaaS.Contracts;

namespace QueueMaaS.Inference.Isolation;

/// <summary>What a new process is to do: one line of JSON on its standard input.</summary>
internal sealed record ModelProcessOrder
{
    /// <summary>The ONNX file.</summary>
    public required string Path { get; init; }
    /// <summary>Where it listens for one connection per instance: the path of a Unix domain socket.</summary>
    public required string Socket { get; init; }
    /// <summary>Threads within an operator.</summary>
    public required int IntraOpThreads { get; init; }
    /// <summary>What it may take beside what an empty process has, in bytes; 0 for no limit.</summary>
    public required long MemoryBytes { get; init; }
    /// <summary>Which device computes.</summary>
    public required InferenceOptions Options { get; init; }
}

/// <summary>What became of it: one line of JSON on its standard output, once it listens or will not.</summary>
internal sealed record ModelProcessReport
{
    /// <summary>The loaded model's.</summary>
    public ModelSignature? Signature { get; init; }
    /// <summary>The loaded model's.</summary>
    public bool HasBatchAxis { get; init; }
    /// <summary>Why there is no model.</summary>
    public Problem? Problem { get; init; }
}
