namespace QueueMaaS.Training.Specification;

/// <summary>What a weight is for: initialisation and weight decay treat them differently.</summary>
public enum WeightRole
{
    /// <summary>Multiplies what comes in.</summary>
    Weight,
    /// <summary>Is added.</summary>
    Bias,
    /// <summary>The scale of a normalisation.</summary>
    Scale,
    /// <summary>Counted, not learned: running mean and variance.</summary>
    Statistic,
}

/// <summary>A weight that a layer has.</summary>
/// <param name="Name">Its name within the layer, as PyTorch has it: <c>weight</c>, <c>running_mean</c>.</param>
/// <param name="Shape">Its axes.</param>
/// <param name="Role">What it is for.</param>
/// <param name="First">Its first values where the specification names none.</param>
public sealed record WeightSpecification(string Name, IReadOnlyList<long> Shape, WeightRole Role, FirstValues First)
{
    /// <summary>Numbers in all.</summary>
    public long Count => Shape.Aggregate(1L, (a, b) => a * b);

    /// <summary>A weight and, where wanted, a bias, both even within ±1/√<paramref name="fanIn"/>: PyTorch's default for linear and convolution layers.</summary>
    public static IReadOnlyList<WeightSpecification> Pair(IReadOnlyList<long> shape, long fanIn, long? bias, string prefix = "")
    {
        var first = FirstValues.Uniform(1 / Math.Sqrt(fanIn));
        var weight = new WeightSpecification(prefix + "weight", shape, WeightRole.Weight, first);
        return bias is { } size ? [weight, new(prefix + "bias", [size], WeightRole.Bias, first)] : [weight];
    }
}

/// <summary>First values that need nothing but the weight's shape.</summary>
/// <param name="Bound">Even from −bound to bound, where given.</param>
/// <param name="Deviation">Normal with this standard deviation, where given.</param>
/// <param name="Value">This value everywhere, where neither is given.</param>
public sealed record FirstValues(double? Bound, double? Deviation, double Value)
{
    /// <summary>Zero everywhere.</summary>
    public static FirstValues Zeros { get; } = new(null, null, 0);

    /// <summary>One everywhere.</summary>
    public static FirstValues Ones { get; } = new(null, null, 1);

    /// <summary>Even from −<paramref name="bound"/> to <paramref name="bound"/>.</summary>
    public static FirstValues Uniform(double bound) => new(bound, null, 0);

    /// <summary>Normal around zero.</summary>
    public static FirstValues Normal(double deviation) => new(null, deviation, 0);
}
