namespace QueueMaaS.Inference.Evaluation.Statistics;

/// <summary>The threshold that makes a label's F1 greatest.</summary>
internal static class BestThreshold
{
    /// <summary>Tries every cut between different probabilities; of equally good ones the highest. Null where no item has the label.</summary>
    public static (double Threshold, double F1)? Of(IEnumerable<(double Probability, bool True)> decisions)
    {
        var falling = decisions.OrderByDescending(static d => d.Probability).ToArray();
        var positives = falling.Count(static d => d.True);
        if (positives == 0)
            return null;
        var (best, cut, right) = (0.0, 0, 0);
        for (var at = 0; at < falling.Length; at++)
        {
            right += falling[at].True ? 1 : 0;
            // Items of one probability are said together.
            if (at + 1 < falling.Length && falling[at + 1].Probability.Equals(falling[at].Probability))
                continue;
            var f1 = 2.0 * right / (at + 1 + positives);
            if (f1 > best)
                (best, cut) = (f1, at);
        }

        var (last, next) = (falling[cut].Probability, cut + 1 < falling.Length ? falling[cut + 1].Probability : 0);
        var middle = (last + next) / 2;
        return (middle > next ? middle : last, best);
    }
}
