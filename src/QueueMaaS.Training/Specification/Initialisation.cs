namespace QueueMaaS.Training.Specification;

/// <summary>How a weight gets its first values.</summary>
public enum InitialKind
{
    /// <summary>Normal, deviation gain·√(2 ÷ fan in) (He et al., arXiv 1502.01852).</summary>
    KaimingNormal,
    /// <summary>Even, with the same deviation.</summary>
    KaimingUniform,
    /// <summary>Normal, deviation gain·√(2 ÷ (fan in + fan out)) (Glorot and Bengio, 2010).</summary>
    XavierNormal,
    /// <summary>Even, with the same deviation.</summary>
    XavierUniform,
    /// <summary>Normal with the deviation <c>gain</c>.</summary>
    Normal,
    /// <summary>Convolutions that hand their input on unchanged, as far as there are channels (Zagoruyko and Komodakis, arXiv 1706.00388); channels beyond keep the layer's default.</summary>
    Dirac,
    /// <summary>The first convolution's weights from the data: the eigenvectors of its patches, so that its outputs are uncorrelated, each with both signs (arXiv 2404.00498).</summary>
    Whitening,
    /// <summary>0 everywhere.</summary>
    Zeros,
    /// <summary>1 everywhere.</summary>
    Ones,
    /// <summary>A fixed number everywhere.</summary>
    Fixed,
}

/// <summary>How a weight gets its first values.</summary>
/// <param name="Kind">The rule.</param>
/// <param name="Value">For <see cref="InitialKind.Fixed"/>: the number.</param>
public sealed record Initialiser(InitialKind Kind, double Value = 0);

/// <summary>The first values of a layer's weights where they are not the layer's defaults.</summary>
public sealed record LayerInitialisation
{
    /// <summary>For weights. Default: the layer's (PyTorch's).</summary>
    public Initialiser? Weight { get; init; }
    /// <summary>For biases. Default: the layer's.</summary>
    public Initialiser? Bias { get; init; }
    /// <summary>For the scales of normalisations. Default: 1.</summary>
    public Initialiser? Scale { get; init; }
    /// <summary>Multiplies the deviation of Kaiming, Xavier and Normal. Default 1.</summary>
    public double Gain { get; init; } = 1;

    /// <summary>The rule for a weight, or null for the layer's default.</summary>
    public Initialiser? For(WeightRole role) => role switch
    {
        WeightRole.Weight => Weight,
        WeightRole.Bias => Bias,
        WeightRole.Scale => Scale,
        _ => null,
    };
}

/// <summary>Draws first values with generators of our own: libtorch's is one for the whole process, so two trainings at once would disturb each other's seeds.</summary>
internal static class InitialWeights
{
    /// <summary>The first values of a weight; data-driven ones follow later and get the default until then.</summary>
    public static float[] Draw(WeightSpecification weight, Initialiser? rule, double gain, Random random)
    {
        var (fanIn, fanOut) = Fans(weight.Shape);
        return rule?.Kind switch
        {
            InitialKind.KaimingNormal => Normal(weight, gain * Math.Sqrt(2.0 / fanIn), random),
            InitialKind.KaimingUniform => Uniform(weight, gain * Math.Sqrt(6.0 / fanIn), random),
            InitialKind.XavierNormal => Normal(weight, gain * Math.Sqrt(2.0 / (fanIn + fanOut)), random),
            InitialKind.XavierUniform => Uniform(weight, gain * Math.Sqrt(6.0 / (fanIn + fanOut)), random),
            InitialKind.Normal => Normal(weight, gain, random),
            InitialKind.Zeros => Same(weight, 0),
            InitialKind.Ones => Same(weight, 1),
            InitialKind.Fixed => Same(weight, rule.Value),
            InitialKind.Dirac => Dirac(weight, Default(weight, random)),
            _ => Default(weight, random),
        };
    }

    private static float[] Default(WeightSpecification weight, Random random) =>
        weight.First.Bound is { } bound ? Uniform(weight, bound, random) : weight.First.Deviation is { } deviation ? Normal(weight, deviation, random) : Same(weight, weight.First.Value);

    private static float[] Same(WeightSpecification weight, double value)
    {
        var values = new float[weight.Count];
        Array.Fill(values, (float)value);
        return values;
    }

    private static float[] Uniform(WeightSpecification weight, double bound, Random random)
    {
        var values = new float[weight.Count];
        for (var i = 0; i < values.Length; i++)
            values[i] = (float)((random.NextDouble() * 2 - 1) * bound);
        return values;
    }

    /// <summary>Box and Muller, 1958.</summary>
    private static float[] Normal(WeightSpecification weight, double deviation, Random random)
    {
        var values = new float[weight.Count];
        for (var i = 0; i < values.Length; i += 2)
        {
            var radius = deviation * Math.Sqrt(-2 * Math.Log(1 - random.NextDouble()));
            var (sin, cos) = Math.SinCos(2 * Math.PI * random.NextDouble());
            values[i] = (float)(radius * cos);
            if (i + 1 < values.Length)
                values[i + 1] = (float)(radius * sin);
        }

        return values;
    }

    private static float[] Dirac(WeightSpecification weight, float[] values)
    {
        var (outputs, inputs) = ((int)weight.Shape[0], (int)weight.Shape[1]);
        var kernel = (int)(weight.Count / outputs / inputs);
        // The middle of the kernel, counted over all its axes.
        var middle = weight.Shape.Skip(2).Aggregate(0L, (at, size) => at * size + size / 2);
        for (var o = 0; o < Math.Min(outputs, inputs); o++)
        {
            values.AsSpan(o * inputs * kernel, inputs * kernel).Clear();
            values[(o * inputs + o) * kernel + (int)middle] = 1;
        }

        return values;
    }

    private static (long In, long Out) Fans(IReadOnlyList<long> shape)
    {
        if (shape.Count < 2)
            return (Math.Max(1, shape[0]), Math.Max(1, shape[0]));
        var field = shape.Skip(2).Aggregate(1L, (a, b) => a * b);
        return (shape[1] * field, shape[0] * field);
    }
}
