using System.Collections.Concurrent;
using System.Text.Json;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Deployment;

namespace QueueMaaS.Inference.Traffic;

/// <summary>Counts what the versions of a model serve in one step of a rollout. Thread-safe.</summary>
internal sealed class RolloutCounter(string watch, int step) : ITrafficCounter
{
    private readonly ConcurrentDictionary<int, Counts> _versions = new();

    public static string KeyOf(string watch, int step) => $"{watch}/{step}";

    public string WatchId => watch;

    public void Served(int version, double milliseconds, bool failed)
    {
        var counts = _versions.GetOrAdd(version, static _ => new());
        if (failed)
            Interlocked.Increment(ref counts.Errors);
        else
            counts.Latency.Add(milliseconds);
        // Last, so that what is read holds no more failures than requests.
        Interlocked.Increment(ref counts.Requests);
    }

    public IEnumerable<(string Part, string Data)> Read()
    {
        foreach (var (version, counts) in _versions)
        {
            var errors = Interlocked.Read(ref counts.Errors);
            yield return (RolloutStanding.PartOf(step, version), JsonSerializer.Serialize(new ServedData(Math.Max(errors, Interlocked.Read(ref counts.Requests)), errors, counts.Latency.ToPairs()), QueueMaaSJson.Relaxed));
        }
    }

    private sealed class Counts
    {
        public readonly LatencySketch Latency = new();
        public long Requests;
        public long Errors;
    }
}

/// <summary>What a worker counts for a watch.</summary>
internal interface ITrafficCounter
{
    string WatchId { get; }

    /// <summary>What has been counted since it began, by part.</summary>
    IEnumerable<(string Part, string Data)> Read();
}
