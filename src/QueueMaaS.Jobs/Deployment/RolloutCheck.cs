using QueueMaaS.Contracts;

namespace QueueMaaS.Jobs.Deployment;

/// <summary>Refuses rollouts that could never be decided.</summary>
public static class RolloutCheck
{
    private const int MostSteps = 20;
    private const double MostSeconds = 2_592_000;

    /// <exception cref="ProblemException"><c>rollout_invalid</c>.</exception>
    public static void Check(RolloutRequest request)
    {
        ArgumentNullException.ThrowIfNull(request);
        if (!Identifiers.IsAlias(request.Alias) || request.Alias == "production")
            throw Invalid("alias", "an alias beside `production`, such as `canary`, that is not digits alone, which name a version");
        if (request.Steps is not { Count: >= 1 and <= MostSteps } steps || steps.Any(static share => share is not (> 0 and < 1)) || steps.Zip(steps.Skip(1)).Any(static pair => pair.Second <= pair.First))
            throw Invalid("steps", $"1 to {MostSteps} shares over 0 and below 1, each greater than the one before");
        if (request.MinRequests is < 1 or > 100_000_000)
            throw Invalid("minRequests", "a whole number from 1 to 100,000,000");
        if (request.MinSeconds is not (>= 0 and <= MostSeconds))
            throw Invalid("minSeconds", "0 to 2,592,000");
        if (!(request.MaxSeconds > request.MinSeconds) || request.MaxSeconds > MostSeconds)
            throw Invalid("maxSeconds", "greater than `minSeconds` and at most 2,592,000");
        if (request is { ErrorRate: null, Latency: null })
            throw new ProblemException(ProblemCodes.RolloutInvalid, "The rollout has no limit, so there is nothing to decide by. Give `errorRate` (`max`, `maxIncrease`) or `latency` (`p99Ms`, `maxFactor`), or deploy the version as it is.");
        if (request.ErrorRate is { } errors)
            CheckErrors(errors);
        if (request.Latency is { } latency)
            CheckLatency(latency);
    }

    private static void CheckErrors(ErrorRateLimits limits)
    {
        if (limits is { Max: null, MaxIncrease: null })
            throw Invalid("errorRate", "given with `max`, `maxIncrease` or both");
        if (limits.Max is { } max && max is not (>= 0 and < 1))
            throw Invalid("errorRate.max", "a share from 0 to below 1");
        if (limits.MaxIncrease is { } increase && increase is not (>= 0 and < 1))
            throw Invalid("errorRate.maxIncrease", "a share from 0 to below 1");
    }

    private static void CheckLatency(LatencyLimits limits)
    {
        if (limits is { P99Ms: null, MaxFactor: null })
            throw Invalid("latency", "given with `p99Ms`, `maxFactor` or both");
        if (limits.P99Ms is { } most && most is not (> 0 and <= 600_000))
            throw Invalid("latency.p99Ms", "above 0 and at most 600,000");
        if (limits.MaxFactor is { } factor && factor is not (>= 0.1 and <= 1000))
            throw Invalid("latency.maxFactor", "from 0.1 to 1,000");
    }

    private static ProblemException Invalid(string path, string range) => new(ProblemCodes.RolloutInvalid, $"`{path}` must be {range}.", ("path", path));
}
