using QueueMaaS.Contracts;
using QueueMaaS.Inference.Evaluation.Statistics;
using QueueMaaS.Inference.Models;
using QueueMaaS.Inference.Preparation;

namespace QueueMaaS.Inference.Promotion;

/// <summary>Times made-up requests through a loaded model and its batcher, one after another, as a lone caller would find it.</summary>
internal sealed class LatencyMeasurement(IModelHost host, TimeProvider time)
{
    private const int WarmUp = 20;

    // A model that keeps the limit is done long before.
    private const double MostOfLimit = 3;
    private static readonly TimeSpan LeastBudget = TimeSpan.FromSeconds(20);

    /// <summary>Milliseconds, ascending; fewer than asked for where the model is so slow that it cannot hold the limit.</summary>
    /// <exception cref="ProblemException">The model cannot compute such rows.</exception>
    public async Task<double[]> RunAsync(ServedModel model, LatencyCondition condition, int priority, CancellationToken cancellationToken)
    {
        var (request, call) = (await FindRequestAsync(model, condition.BatchSize, cancellationToken), new InferenceCall { Priority = priority });
        var until = TimeSpan.FromMilliseconds(Math.Max(LeastBudget.TotalMilliseconds, condition.Runs * condition.P99Ms * MostOfLimit));
        var began = time.GetTimestamp();
        for (var run = 0; run < WarmUp && time.GetElapsedTime(began) < LeastBudget; run++)
            await host.RunAsync(model, request, call, cancellationToken);
        var measured = new List<double>(condition.Runs);
        began = time.GetTimestamp();
        while (measured.Count < condition.Runs && (measured.Count == 0 || time.GetElapsedTime(began) < until))
        {
            var started = time.GetTimestamp();
            await host.RunAsync(model, request, call, cancellationToken);
            measured.Add(time.GetElapsedTime(started).TotalMilliseconds);
        }

        measured.Sort();
        return [.. measured];
    }

    /// <summary>The 99 % quantile of ascending milliseconds.</summary>
    public static double P99(double[] ascending) => Resampling.Quantile(ascending, 0.99);

    /// <summary>The first of the sizes along free axes that the model can compute.</summary>
    private async Task<PreparedRequest> FindRequestAsync(ServedModel model, int rows, CancellationToken cancellationToken)
    {
        // Kept answers would be timed in place of the model.
        for (var size = 0; ; size++)
        {
            try
            {
                var request = host.Prepare(model, MadeUpRows.Together(model.Signature, MadeUpRows.FreeSizes[size], rows));
                await host.RunAsync(model, request, new InferenceCall(), cancellationToken);
                return request;
            }
            catch (ProblemException) when (size + 1 < MadeUpRows.FreeSizes.Length)
            {
                // Another size may suit it.
            }
        }
    }
}
