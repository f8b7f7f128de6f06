using System.ComponentModel.DataAnnotations;

namespace QueueMaaS.Jobs.Deployment;

/// <summary>How what is served is followed (configuration section <c>Deployment</c>).</summary>
public sealed class DeploymentOptions
{
    public const string Section = "Deployment";

    /// <summary>How often workers ask what is to be followed and store what they have counted, and how often rollouts are decided about. Default 1 s.</summary>
    [Range(typeof(TimeSpan), "00:00:00.05", "00:10:00")]
    public TimeSpan LookEvery { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>Requests that wait in one worker to be computed by a shadow version, 1 to 10,000; beyond it they are dropped. Default 64.</summary>
    [Range(1, 10_000)]
    public int ShadowQueue { get; set; } = 64;

    /// <summary>Requests of callers and batch jobs under way in a worker up to which it computes for shadow versions, too. Default 0: only while it has nothing else to do.</summary>
    [Range(0, 10_000)]
    public int ShadowWhileBusy { get; set; }

    /// <summary>Rows that one worker summarises for each monitored version, at most, in a second, 1 to 100,000; the requests are drawn at random. Default 50.</summary>
    [Range(1, 100_000)]
    public int DriftRowsPerSecond { get; set; } = 50;

    /// <summary>How long a shadow's request waits for the worker to have nothing else to do before it is dropped. Default 250 ms.</summary>
    [Range(typeof(TimeSpan), "00:00:00", "00:01:00")]
    public TimeSpan ShadowPatience { get; set; } = TimeSpan.FromMilliseconds(250);
}
