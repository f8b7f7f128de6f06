using QueueMaaS.Contracts;

namespace QueueMaaS.Inference.Evaluation.Statistics;

/// <summary>Expected calibration error and temperature scaling (arXiv 1706.04599).</summary>
internal static class Calibration
{
    private const int BinCount = 15;
    private const double LeastTemperature = 0.05;
    private const double GreatestTemperature = 20;
    private static readonly double Golden = (Math.Sqrt(5) - 1) / 2;

    public static CalibrationFigures Measure(LabelPredictions predictions)
    {
        var (ece, bins) = Bins(Likeliest(predictions, predictions.Confidence));
        var temperature = Fit(predictions.BareLossAt);
        return new(ece, bins, temperature, Bins(Likeliest(predictions, predictions.ConfidenceAt(temperature))).Ece, predictions.LossAt(temperature));
    }

    public static LabelCalibration Measure(MultiLabelPredictions predictions)
    {
        var (ece, bins) = Bins(predictions.DecisionsAt(1));
        var temperature = Fit(predictions.BareLossAt);
        return new(ece, bins, temperature, Bins(predictions.DecisionsAt(temperature)).Ece, predictions.LossAt(temperature));
    }

    /// <summary>Puts what was said with some probability in bins of equal width of it, and holds their mean against the share that is true.</summary>
    public static (double Ece, ReliabilityBin[] Bins) Bins(IEnumerable<(double Probability, bool True)> said)
    {
        var (items, right, sum, count) = (new int[BinCount], new int[BinCount], new double[BinCount], 0);
        foreach (var (probability, isTrue) in said)
        {
            var bin = Math.Clamp((int)Math.Ceiling(probability * BinCount) - 1, 0, BinCount - 1);
            items[bin]++;
            right[bin] += isTrue ? 1 : 0;
            sum[bin] += probability;
            count++;
        }

        var bins = new ReliabilityBin[BinCount];
        double ece = 0;
        for (var bin = 0; bin < BinCount; bin++)
        {
            var some = items[bin] > 0;
            bins[bin] = new((double)bin / BinCount, (bin + 1.0) / BinCount, items[bin], some ? sum[bin] / items[bin] : null, some ? (double)right[bin] / items[bin] : null);
            ece += Math.Abs(right[bin] - sum[bin]) / count;
        }

        return (ece, bins);
    }

    private static IEnumerable<(double Probability, bool True)> Likeliest(LabelPredictions predictions, double[] confidence) =>
        confidence.Index().Select(item => (item.Item, predictions.IsRight(item.Index)));

    /// <summary>The temperature of the least log loss. The loss is convex in 1/T, so it has one lowest point, which golden sections find.</summary>
    private static double Fit(Func<double, double> lossAt)
    {
        var (low, high) = (Math.Log(LeastTemperature), Math.Log(GreatestTemperature));
        var (left, right) = (high - (Golden * (high - low)), low + (Golden * (high - low)));
        var (atLeft, atRight) = (lossAt(Math.Exp(left)), lossAt(Math.Exp(right)));
        while (high - low > 1e-4)
        {
            if (atLeft <= atRight)
            {
                (high, right, atRight) = (right, left, atLeft);
                left = high - (Golden * (high - low));
                atLeft = lossAt(Math.Exp(left));
            }
            else
            {
                (low, left, atLeft) = (left, right, atRight);
                right = low + (Golden * (high - low));
                atRight = lossAt(Math.Exp(right));
            }
        }

        return Math.Exp((low + high) / 2);
    }
}
