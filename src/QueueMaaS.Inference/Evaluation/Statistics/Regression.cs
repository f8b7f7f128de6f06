using QueueMaaS.Contracts;

namespace QueueMaaS.Inference.Evaluation.Statistics;

/// <summary>The figures of a regression.</summary>
internal static class Regression
{
    private static readonly double[] Shares = [0, 0.05, 0.25, 0.5, 0.75, 0.95, 1];

    public static RegressionFigures Measure(NumberPredictions predictions, int resamples, int seed, CancellationToken cancellationToken = default)
    {
        double[] residuals = [.. Enumerable.Range(0, predictions.Count).Select(predictions.Residual)];
        var squares = residuals.Sum(static r => r * r);
        var mean = predictions.Truth.Average();
        var variation = predictions.Truth.Sum(t => (t - mean) * (t - mean));
        var intervals = Resampling.Draw(
            predictions.Count, resamples, seed, 2,
            (drawn, figures) =>
            {
                var (absolute, square) = (0.0, 0.0);
                foreach (var item in drawn)
                {
                    absolute += Math.Abs(residuals[item]);
                    square += residuals[item] * residuals[item];
                }

                figures[0] = absolute / drawn.Length;
                figures[1] = Math.Sqrt(square / drawn.Length);
            },
            cancellationToken);
        var figures = new RegressionFigures
        {
            Mae = residuals.Average(Math.Abs),
            MaeInterval = Resampling.Middle(intervals[0]),
            Rmse = Math.Sqrt(squares / residuals.Length),
            RmseInterval = Resampling.Middle(intervals[1]),
            R2 = variation > 0 ? 1 - (squares / variation) : null,
            Bias = residuals.Average(),
            Residuals = [],
        };
        Array.Sort(residuals);
        return figures with { Residuals = [.. Shares.Select(share => new ResidualQuantile(share, Resampling.Quantile(residuals, share)))] };
    }
}
