using QueueMaaS.Contracts;

namespace QueueMaaS.Training.Sweeps;

/// <summary>
/// Asynchronous successive halving (Li et al. 2018, arXiv 1810.05934, algorithm 2): whenever there is room for a job, the best trial of the highest rung that is
/// among the top one in <c>reduction</c> of its rung and has not gone on yet does so; where there is none, a new trial begins at the lowest rung. No rung is waited for.
/// Where all has ended and no trial has reached the highest rung (few trials, or failures), the best one goes on alone, so that what is registered was trained to the end.
/// </summary>
internal static class Halving
{
    /// <param name="trials">Trials in all.</param>
    /// <param name="reduction">Of so many one goes on.</param>
    /// <param name="rungs">How many rungs there are.</param>
    /// <param name="cells">What was decided so far: by trial and rung, with the figure where it has one.</param>
    /// <param name="metric">Compares figures.</param>
    /// <returns>The next step, or null where there is nothing to do but wait, or all is done. Its number is left 0.</returns>
    public static SweepDecision? Next(int trials, int reduction, int rungs, IReadOnlyDictionary<(int Trial, int Rung), HalvingCell> cells, string metric)
    {
        for (var rung = rungs - 2; rung >= 0; rung--)
        {
            var ended = Ended(cells, rung, metric);
            var top = ended.Count / reduction;
            foreach (var (trial, figure) in ended.Take(top))
            {
                if (!cells.ContainsKey((trial, rung + 1)))
                    return Decide("promote", trial, rung + 1, figure, $"among the best {top} of the {ended.Count} that have ended rung {rung}");
            }
        }

        if (cells.Keys.Select(cell => cell.Trial).DefaultIfEmpty().Max() is var begun && begun < trials)
            return Decide("start", begun + 1, 0, null, begun == 0 ? "the first trial" : "no trial can go on yet");
        if (cells.Values.Any(cell => cell.IsOpen) || Enumerable.Range(0, rungs).Select(rung => rungs - 1 - rung).FirstOrDefault(rung => Ended(cells, rung, metric).Count > 0, -1) is not (>= 0 and var highest) || highest == rungs - 1)
            return null;
        // One whose next rung failed is not tried again; the one behind it is.
        var (best, value) = Ended(cells, highest, metric).FirstOrDefault(entry => !cells.ContainsKey((entry.Trial, highest + 1)));
        return best == 0 ? null : Decide("finish", best, highest + 1, value, "all trials have ended, and it is the best of the highest rung that has any");
    }

    private static List<(int Trial, double Metric)> Ended(IReadOnlyDictionary<(int Trial, int Rung), HalvingCell> cells, int rung, string metric)
    {
        var ended = cells.Where(cell => cell.Key.Rung == rung && cell.Value.Metric is not null).Select(cell => (cell.Key.Trial, Metric: cell.Value.Metric!.Value)).ToList();
        ended.Sort((a, b) => SweepMetric.Compare(metric, a.Metric, b.Metric) is not 0 and var order ? order : a.Trial.CompareTo(b.Trial));
        return ended;
    }

    private static SweepDecision Decide(string action, int trial, int rung, double? metric, string reason) => new() { Step = 0, Action = action, Trial = trial, Rung = rung, Metric = metric, Reason = reason };
}

/// <summary>A trial at a rung.</summary>
/// <param name="IsOpen">It has not ended.</param>
/// <param name="Metric">Its figure, where it has ended well.</param>
internal readonly record struct HalvingCell(bool IsOpen, double? Metric);
