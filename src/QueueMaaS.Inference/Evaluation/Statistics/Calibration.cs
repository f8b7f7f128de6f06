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
        var (ece, bins) = Bins(predictions, predictions.Confidence);
        var temperature = Fit(predictions);
        return new(ece, bins, temperature, Bins(predictions, predictions.ConfidenceAt(temperature)).Ece, predictions.LossAt(temperature));
    }

    private static (double Ece, ReliabilityBin[] Bins) Bins(LabelPredictions predictions, double[] confidence)
    {
        var (items, right, sum) = (new int[BinCount], new int[BinCount], new double[BinCount]);
        for (var item = 0; item < predictions.Count; item++)
        {
            var bin = Math.Clamp((int)Math.Ceiling(confidence[item] * BinCount) - 1, 0, BinCount - 1);
            items[bin]++;
            right[bin] += predictions.IsRight(item) ? 1 : 0;
            sum[bin] += confidence[item];
        }

        var bins = new ReliabilityBin[BinCount];
        double ece = 0;
        for (var bin = 0; bin < BinCount; bin++)
        {
            var some = items[bin] > 0;
            bins[bin] = new((double)bin / BinCount, (bin + 1.0) / BinCount, items[bin], some ? sum[bin] / items[bin] : null, some ? (double)right[bin] / items[bin] : null);
            ece += Math.Abs(right[bin] - sum[bin]) / predictions.Count;
        }

        return (ece, bins);
    }

    /// <summary>The temperature of the least log loss. The loss is convex in 1/T, so it has one lowest point, which golden sections find.</summary>
    private static double Fit(LabelPredictions predictions)
    {
        var (low, high) = (Math.Log(LeastTemperature), Math.Log(GreatestTemperature));
        var (left, right) = (high - (Golden * (high - low)), low + (Golden * (high - low)));
        var (atLeft, atRight) = (predictions.BareLossAt(Math.Exp(left)), predictions.BareLossAt(Math.Exp(right)));
        while (high - low > 1e-4)
        {
            if (atLeft <= atRight)
            {
                (high, right, atRight) = (right, left, atLeft);
                left = high - (Golden * (high - low));
                atLeft = predictions.BareLossAt(Math.Exp(left));
            }
            else
            {
                (low, left, atLeft) = (left, right, atRight);
                right = low + (Golden * (high - low));
                atRight = predictions.BareLossAt(Math.Exp(right));
            }
        }

        return Math.Exp((low + high) / 2);
    }
}
