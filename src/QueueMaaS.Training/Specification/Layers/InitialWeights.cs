using TorchSharp;

namespace QueueMaaS.Training.Specification.Layers;

/// <summary>First weights, drawn from a generator of our own: libtorch's is one for the whole process, so two trainings at once would disturb each other's seeds.</summary>
internal static class InitialWeights
{
    /// <summary>Fills a parameter evenly from -<paramref name="bound"/> to <paramref name="bound"/> (PyTorch's default for a bound of 1/√fan-in).</summary>
    public static void Uniform(torch.Tensor parameter, double bound, Random random)
    {
        var values = new float[parameter.numel()];
        for (var i = 0; i < values.Length; i++)
            values[i] = (float)((random.NextDouble() * 2 - 1) * bound);
        using var noGradients = torch.no_grad();
        using var drawn = torch.tensor(values, parameter.shape);
        parameter.copy_(drawn);
    }
}
