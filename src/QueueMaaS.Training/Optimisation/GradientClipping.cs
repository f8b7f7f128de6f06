using System.Runtime.InteropServices;
using QueueMaaS.Contracts;
using QueueMaaS.Training.Specification;
using TorchSharp;

namespace QueueMaaS.Training.Optimisation;

/// <summary>Holds gradients within bounds before they are applied.</summary>
internal static class GradientClipping
{
    public static void Apply(IReadOnlyList<ModelWeight> weights, OptimizationSettings settings)
    {
        if (settings.ClipValue is null && settings.ClipNorm is null)
            return;
        using var scope = torch.NewDisposeScope();
        var gradients = weights.Select(w => w.Tensor.grad).OfType<torch.Tensor>().ToArray();
        if (settings.ClipValue is { } value)
            Bound(gradients, value);
        if (settings.ClipNorm is { } norm)
            Shorten(gradients, norm);
    }

    private static void Bound(torch.Tensor[] gradients, double value)
    {
        foreach (var gradient in gradients)
        {
            var bound = torch.tensor((float)value, device: gradient.device);
            gradient.copy_(gradient.minimum(bound).maximum(bound.neg()));
        }
    }

    /// <summary>Pascanu et al., arXiv 1211.5063.</summary>
    private static void Shorten(torch.Tensor[] gradients, double most)
    {
        double square = 0;
        foreach (var gradient in gradients)
            square += MemoryMarshal.Cast<byte, float>(gradient.square().sum().cpu().bytes)[0];
        var length = Math.Sqrt(square);
        if (!(length > most))
            return;
        foreach (var gradient in gradients)
            gradient.mul_(torch.tensor((float)(most / length), device: gradient.device));
    }
}
