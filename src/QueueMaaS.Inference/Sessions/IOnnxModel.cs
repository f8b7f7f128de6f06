using QueueMaaS.Contracts;
using QueueMaaS.Inference.Batching;

namespace QueueMaaS.Inference.Sessions;

/// <summary>A model that is ready to compute, in this process or in one of its own.</summary>
public interface IOnnxModel : IDisposable
{
    /// <summary>Its inputs and outputs, in the model's order.</summary>
    ModelSignature Signature { get; }

    /// <summary>True where requests can be put together along the first axis.</summary>
    bool HasBatchAxis { get; }

    /// <summary>An instance, which computes one batch at a time beside the others; the model must outlive it.</summary>
    IModelInstance NewInstance();

    /// <summary>Judges runs by another limit from now on.</summary>
    void Limit(TimeSpan run);
}
