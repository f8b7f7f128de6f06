using System.Text.Json;
using QueueMaaS.Contracts;

namespace QueueMaaS.Jobs.Deployment;

/// <summary>How a rollout stands: what its watch keeps.</summary>
public sealed record RolloutStanding
{
    public required RolloutState State { get; init; }
    /// <summary>From 0.</summary>
    public required int Step { get; init; }
    public required DateTimeOffset StepStartedAt { get; init; }
    public required int Production { get; init; }
    public string? Reason { get; init; }
    /// <summary>As it was at the end.</summary>
    public ServedFigures? Served { get; init; }
    /// <summary>As it was at the end.</summary>
    public ServedFigures? ServedByProduction { get; init; }
    /// <summary>As they were at the end.</summary>
    public IReadOnlyList<JudgedCondition>? Conditions { get; init; }

    /// <summary>What is counted apart: a step and a version.</summary>
    public static string PartOf(int step, int version) => $"{step}/{version}";

    public static string OpenKeyOf(string model) => $"rollout/{model}";

    public static RolloutRequest RequestOf(ModelWatch watch)
    {
        ArgumentNullException.ThrowIfNull(watch);
        return JsonSerializer.Deserialize<RolloutRequest>(watch.Definition, QueueMaaSJson.Relaxed)!;
    }

    public static RolloutStanding Of(ModelWatch watch)
    {
        ArgumentNullException.ThrowIfNull(watch);
        return JsonSerializer.Deserialize<RolloutStanding>(watch.Standing, QueueMaaSJson.Relaxed)!;
    }

    public string ToJson() => JsonSerializer.Serialize(this, QueueMaaSJson.Relaxed);

    /// <summary>Adds up what all workers have counted for a version in a step.</summary>
    public static ServedCounts Sum(IEnumerable<TrafficSummary> summaries, int step, int version)
    {
        var (part, sum) = (PartOf(step, version), new ServedCounts());
        foreach (var summary in summaries.Where(summary => summary.Part == part))
        {
            var counted = JsonSerializer.Deserialize<ServedData>(summary.Data, QueueMaaSJson.Relaxed)!;
            sum.Requests += counted.Requests;
            sum.Errors += counted.Errors;
            sum.Latency.Add(counted.Latency);
        }

        return sum;
    }
}

/// <summary>What a worker stores of what it has served.</summary>
/// <param name="Requests">Requests.</param>
/// <param name="Errors">Those that failed.</param>
/// <param name="Latency">As <see cref="LatencySketch.ToPairs"/>.</param>
public sealed record ServedData(long Requests, long Errors, IReadOnlyList<long[]> Latency);
