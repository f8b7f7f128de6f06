namespace QueueMaaS.Inference.Evaluation.Statistics;

/// <summary>A point of a curve.</summary>
internal readonly record struct CurvePoint(double X, double Y);

/// <summary>How well scores tell the items of a class from the others. Items of equal scores are taken together (Fawcett, An introduction to ROC analysis, 2006).</summary>
/// <param name="RocAuc">Area under the true positive rate over the false positive rate.</param>
/// <param name="AveragePrecision">Sum of precision × growth of recall, without interpolation.</param>
/// <param name="Roc">False positive rate and true positive rate, from (0, 0) to (1, 1).</param>
/// <param name="Precision">Recall and precision, by falling score.</param>
internal sealed record RankCurves(double RocAuc, double AveragePrecision, IReadOnlyList<CurvePoint> Roc, IReadOnlyList<CurvePoint> Precision)
{
    /// <summary>The curves; null where one of the two sides has no items.</summary>
    /// <param name="scores">Greater where the item is likelier of the class. Is sorted.</param>
    /// <param name="positive">Whether the item is of the class. Is sorted along.</param>
    public static RankCurves? Of(double[] scores, bool[] positive)
    {
        var positives = positive.Count(static p => p);
        var negatives = positive.Length - positives;
        if (positives == 0 || negatives == 0)
            return null;
        Array.Sort(scores, positive);
        double area = 0, precision = 0;
        int truePositives = 0, falsePositives = 0;
        var points = new List<CurvePoint> { new(0, 0) };
        var precisions = new List<CurvePoint>();
        for (var at = scores.Length - 1; at >= 0;)
        {
            var (wereTrue, wereFalse, score) = (truePositives, falsePositives, scores[at]);
            for (; at >= 0 && scores[at].Equals(score); at--)
            {
                if (positive[at])
                    truePositives++;
                else
                    falsePositives++;
            }

            area += (falsePositives - wereFalse) * (truePositives + wereTrue) / 2.0;
            precision += (truePositives - wereTrue) * ((double)truePositives / (truePositives + falsePositives));
            points.Add(new((double)falsePositives / negatives, (double)truePositives / positives));
            precisions.Add(new((double)truePositives / positives, (double)truePositives / (truePositives + falsePositives)));
        }

        return new(area / ((double)positives * negatives), precision / positives, points, precisions);
    }
}
