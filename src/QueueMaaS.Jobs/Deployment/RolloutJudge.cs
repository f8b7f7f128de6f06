using System.Globalization;
using QueueMaaS.Contracts;

namespace QueueMaaS.Jobs.Deployment;

/// <summary>What a version served in a step, on all workers.</summary>
public sealed class ServedCounts
{
    public long Requests { get; set; }
    public long Errors { get; set; }
    public LatencySketch Latency { get; } = new();

    public double ErrorRate => Requests == 0 ? 0 : (double)Errors / Requests;

    public ServedFigures ToFigures(int version) => new(version, Requests, Errors, Latency.Quantile(0.5), Latency.Quantile(0.99));
}

/// <summary>What a step comes to.</summary>
public enum RolloutVerdict
{
    /// <summary>Not enough is known.</summary>
    Wait,
    /// <summary>Every limit is kept.</summary>
    Pass,
    /// <summary>A limit is broken, or the time is over.</summary>
    Fail,
}

/// <summary>Holds what two versions served against the limits of a rollout.</summary>
public static class RolloutJudge
{
    private const double SlowShare = 0.01;

    // One-sided 99 % and 95 %.
    private const double Sure = 2.326;
    private const double Likely = 1.645;

    /// <param name="request">The limits.</param>
    /// <param name="canary">What the version served in the step.</param>
    /// <param name="production">What production served in the same time.</param>
    /// <param name="lasted">How long the step has lasted.</param>
    public static (RolloutVerdict Verdict, string Reason, IReadOnlyList<JudgedCondition> Conditions) Judge(RolloutRequest request, ServedCounts canary, ServedCounts production, TimeSpan lasted)
    {
        ArgumentNullException.ThrowIfNull(request);
        ArgumentNullException.ThrowIfNull(canary);
        ArgumentNullException.ThrowIfNull(production);
        var judged = Conditions(request, canary, production).ToList();
        JudgedCondition[] conditions = [.. judged.Select(static one => one.Condition)];
        // What is shown to be broken need not be served on.
        if (judged.Find(static one => one.IsBroken) is { Condition: { } broken })
            return (RolloutVerdict.Fail, $"{broken.Condition}: {broken.Reason}", conditions);
        var enough = canary.Requests >= request.MinRequests && (!IsRelative(request) || production.Requests >= request.MinRequests);
        if (enough && lasted.TotalSeconds >= request.MinSeconds && Array.TrueForAll(conditions, static condition => condition.Held))
            return (RolloutVerdict.Pass, $"All {conditions.Length} limits are kept over {canary.Requests:N0} requests in {Text(lasted.TotalSeconds)} s.", conditions);
        if (lasted.TotalSeconds < request.MaxSeconds)
            return (RolloutVerdict.Wait, enough ? "It goes on until the limits are kept for long enough." : $"{canary.Requests:N0} of {request.MinRequests:N0} requests so far.", conditions);
        return (RolloutVerdict.Fail, enough
            ? $"The step's {Text(request.MaxSeconds)} s are over and a limit is still not kept. {Array.Find(conditions, static condition => !condition.Held)?.Condition}: {Array.Find(conditions, static condition => !condition.Held)?.Reason}"
            : $"The step's {Text(request.MaxSeconds)} s are over with {canary.Requests:N0} requests to the version and {production.Requests:N0} to production; {request.MinRequests:N0} are asked for.", conditions);
    }

    private static bool IsRelative(RolloutRequest request) => request.ErrorRate?.MaxIncrease is not null || request.Latency?.MaxFactor is not null;

    private static IEnumerable<(JudgedCondition Condition, bool IsBroken)> Conditions(RolloutRequest request, ServedCounts canary, ServedCounts production)
    {
        if (request.ErrorRate?.Max is { } max)
        {
            yield return (
                new($"error rate ≤ {Text(max)}", canary.ErrorRate <= max, $"{canary.Errors:N0} of {canary.Requests:N0} requests failed.", canary.ErrorRate, max),
                SequentialTest.IsAbove(canary.Errors, canary.Requests, max));
        }

        if (request.ErrorRate?.MaxIncrease is { } increase)
        {
            // The benefit of the doubt about production's rate is the version's.
            var limit = Math.Min(1, SequentialTest.UpperBound(production.Errors, production.Requests, Sure) + increase);
            yield return (
                new($"error rate ≤ production's + {Text(increase)}", !IsWorse(canary, production, increase), $"{canary.Errors:N0} of {canary.Requests:N0} requests failed, and {production.Errors:N0} of {production.Requests:N0} of production's.", canary.ErrorRate, production.ErrorRate + increase),
                SequentialTest.IsAbove(canary.Errors, canary.Requests, limit));
        }

        var (p99, answered) = (canary.Latency.Quantile(0.99), canary.Latency.Count);
        if (request.Latency?.P99Ms is { } most)
        {
            yield return (
                new($"latency p99 ≤ {Text(most)} ms", p99 is null || p99 <= most, $"{canary.Latency.LongerThan(most):N0} of {answered:N0} answers took longer.", p99, most),
                SequentialTest.IsAbove(canary.Latency.LongerThan(most), answered, SlowShare));
        }

        if (request.Latency?.MaxFactor is { } factor)
            yield return RelativeLatency(factor, canary, production, p99, answered);
    }

    private static (JudgedCondition Condition, bool IsBroken) RelativeLatency(double factor, ServedCounts canary, ServedCounts production, double? p99, long answered)
    {
        var text = $"latency p99 ≤ {Text(factor)} × production's";
        if (production.Latency.Quantile(1 - SlowShare) is not { } theirs)
            return (new(text, false, "Production has answered nothing yet.", p99), false);
        // Where production's quantile really is, is known to a binomial error of its rank.
        var rank = 1 - SlowShare + (Sure * Math.Sqrt(SlowShare * (1 - SlowShare) / production.Latency.Count));
        var greatest = factor * production.Latency.Quantile(rank)!.Value;
        var slow = canary.Latency.LongerThan(factor * theirs);
        var shown = answered > 0 && (slow - (SlowShare * answered)) / Math.Sqrt(answered * SlowShare * (1 - SlowShare)) > Likely;
        return (
            new(text, !shown, $"{slow:N0} of {answered:N0} answers took longer than {Text(factor * theirs)} ms; 1 in 100 may.", p99, factor * theirs),
            SequentialTest.IsAbove(canary.Latency.LongerThan(greatest), answered, SlowShare));
    }

    /// <summary>Whether the difference of two rates is above a margin, by a one-sided test at the 5 % level.</summary>
    private static bool IsWorse(ServedCounts canary, ServedCounts production, double margin)
    {
        var excess = canary.ErrorRate - production.ErrorRate - margin;
        var variance = Variance(canary) + Variance(production);
        return excess > 0 && (variance == 0 || excess / Math.Sqrt(variance) > Likely);
    }

    private static double Variance(ServedCounts counts) => counts.Requests == 0 ? 0 : counts.ErrorRate * (1 - counts.ErrorRate) / counts.Requests;

    private static string Text(double value) => Math.Round(value, 4).ToString(CultureInfo.InvariantCulture);
}
