namespace QueueMaaS.Jobs.Deployment;

/// <summary>
/// Tells whether something happens more often than a limit, and may be asked after every request: the chance of crying wrongly, ever, is at most <see cref="FalseAlarms"/>. A mixture of likelihood ratios against
/// rates above the limit is a supermartingale while the true rate is at or below it, so by Ville's inequality it reaches 1 ÷ α with a probability of at most α (Robbins, Ann. Math. Statist. 41, 1970; Howard and others, arXiv 1810.08240).
/// </summary>
public static class SequentialTest
{
    /// <summary>α.</summary>
    public const double FalseAlarms = 0.01;

    private const int Rates = 64;

    // The greatest alternative has odds e⁶ times the limit's.
    private const double Widest = 6;

    /// <summary>True where <paramref name="events"/> of <paramref name="trials"/> cannot be had of a rate of at most <paramref name="limit"/>.</summary>
    public static bool IsAbove(long events, long trials, double limit)
    {
        if (limit <= 0)
            return events > 0;
        if (limit >= 1 || trials == 0)
            return false;
        var odds = limit / (1 - limit);
        var most = double.NegativeInfinity;
        var ratios = new double[Rates];
        for (var i = 0; i < Rates; i++)
        {
            var other = odds * Math.Exp(Widest * (i + 1) / Rates);
            var rate = other / (1 + other);
            ratios[i] = (events * Math.Log(rate / limit)) + ((trials - events) * Math.Log((1 - rate) / (1 - limit)));
            most = Math.Max(most, ratios[i]);
        }

        return most + Math.Log(ratios.Sum(ratio => Math.Exp(ratio - most)) / Rates) >= -Math.Log(FalseAlarms);
    }

    /// <summary>The upper end of Wilson's interval (J. Amer. Statist. Assoc. 22, 1927) of a rate; 1 where there were no trials.</summary>
    public static double UpperBound(long events, long trials, double z)
    {
        if (trials == 0)
            return 1;
        var (rate, square) = ((double)events / trials, z * z);
        return Math.Min(1, (rate + (square / (2 * trials)) + (z * Math.Sqrt((rate * (1 - rate) / trials) + (square / (4.0 * trials * trials))))) / (1 + (square / trials)));
    }
}
