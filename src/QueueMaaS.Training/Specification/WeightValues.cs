using System.Runtime.InteropServices;
using TorchSharp;

namespace QueueMaaS.Training.Specification;

/// <summary>A weight's numbers outside of the native library.</summary>
/// <param name="Shape">Its axes.</param>
/// <param name="Values">In the order of the axes, the last one fastest.</param>
public sealed record WeightValues(IReadOnlyList<long> Shape, float[] Values)
{
    /// <summary>A copy of a tensor's numbers.</summary>
    public static WeightValues Of(torch.Tensor tensor)
    {
        ArgumentNullException.ThrowIfNull(tensor);
        using var scope = torch.NewDisposeScope();
        var plain = tensor.detach().cpu().contiguous();
        return new(plain.shape, MemoryMarshal.Cast<byte, float>(plain.bytes).ToArray());
    }

    /// <summary>A copy of all weights of a model.</summary>
    public static IReadOnlyDictionary<string, WeightValues> Of(BuiltModel model)
    {
        ArgumentNullException.ThrowIfNull(model);
        return model.Weights.ToDictionary(w => w.Name, w => Of(w.Tensor), StringComparer.Ordinal);
    }

    /// <summary>Writes the numbers into a tensor of the same shape.</summary>
    public void CopyTo(torch.Tensor tensor)
    {
        ArgumentNullException.ThrowIfNull(tensor);
        using var noGradients = torch.no_grad();
        using var scope = torch.NewDisposeScope();
        var plain = torch.empty([.. Shape]);
        MemoryMarshal.AsBytes(Values.AsSpan()).CopyTo(plain.bytes);
        tensor.copy_(plain);
    }
}
