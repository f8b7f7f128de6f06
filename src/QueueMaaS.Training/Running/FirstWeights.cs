using QueueMaaS.Training.Specification;

namespace QueueMaaS.Training.Running;

/// <summary>Gives a model weights from elsewhere.</summary>
internal static class FirstWeights
{
    /// <summary>Takes what fits by name and shape.</summary>
    public static void Take(BuiltModel model, IReadOnlyDictionary<string, WeightValues> weights)
    {
        foreach (var weight in model.Weights)
        {
            if (weights.TryGetValue(weight.Name, out var values) && values.Shape.SequenceEqual(weight.Tensor.shape))
                values.CopyTo(weight.Tensor);
        }
    }
}
