using QueueMaaS.Inference.Batching;
using QueueMaaS.Inference.Tensors;

namespace QueueMaaS.Bench;

/// <summary>Always gives the same output: what remains is the batcher's own cost.</summary>
internal sealed class NoModel : IModelInstance
{
    private TensorBuffer? _whole;

    public IReadOnlyList<TensorBuffer> Run(IReadOnlyList<BatchMember> members, CancellationToken stop)
    {
        if (_whole?.Shape[0] != members.Count)
            _whole = TensorBuffer.OfBytes("y", members[0].Inputs[0].Datatype, [members.Count, 8], new byte[members.Count * 32]);
        return [_whole];
    }

    public void Dispose()
    {
    }
}
