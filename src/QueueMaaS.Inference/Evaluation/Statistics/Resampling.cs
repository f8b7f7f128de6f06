using QueueMaaS.Contracts;

namespace QueueMaaS.Inference.Evaluation.Statistics;

/// <summary>The bootstrap: figures over items drawn with replacement (Efron and Tibshirani, An Introduction to the Bootstrap, 1993). The same seed draws the same items, whatever the figures.</summary>
internal static class Resampling
{
    /// <summary>Figures over each resample.</summary>
    /// <param name="items">How many items there are, and are drawn.</param>
    /// <param name="resamples">How often.</param>
    /// <param name="seed">Seeds the draw.</param>
    /// <param name="figures">How many figures.</param>
    /// <param name="measure">Writes the figures over items, some of which come several times.</param>
    /// <param name="cancellationToken">Stops between resamples.</param>
    /// <returns>For each figure its values, ascending.</returns>
    public static double[][] Draw(int items, int resamples, int seed, int figures, Action<int[], Span<double>> measure, CancellationToken cancellationToken = default)
    {
        var random = new Random(seed);
        var values = new double[figures][];
        for (var figure = 0; figure < figures; figure++)
            values[figure] = new double[resamples];
        var drawn = new int[items];
        Span<double> measured = stackalloc double[figures];
        for (var resample = 0; resample < resamples; resample++)
        {
            cancellationToken.ThrowIfCancellationRequested();
            for (var i = 0; i < items; i++)
                drawn[i] = random.Next(items);
            measure(drawn, measured);
            for (var figure = 0; figure < figures; figure++)
                values[figure][resample] = measured[figure];
        }

        foreach (var figure in values)
            Array.Sort(figure);
        return values;
    }

    /// <summary>The middle 95 % of ascending values.</summary>
    public static Interval Middle(double[] ascending) => new(Quantile(ascending, 0.025), Quantile(ascending, 0.975));

    /// <summary>A quantile of ascending values, linear between ranks (type 7 of Hyndman and Fan, 1996).</summary>
    public static double Quantile(double[] ascending, double share)
    {
        var rank = share * (ascending.Length - 1);
        var below = (int)Math.Floor(rank);
        var above = Math.Min(below + 1, ascending.Length - 1);
        return ascending[below] + ((rank - below) * (ascending[above] - ascending[below]));
    }
}
