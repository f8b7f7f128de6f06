using System.ComponentModel.DataAnnotations;

namespace QueueMaaS.Api.Health;

/// <summary>When a part counts as ill (configuration section <c>Health</c>).</summary>
public sealed class HealthOptions
{
    public const string Section = "Health";

    /// <summary>How often the process looks at its parts by itself, for the log and for <c>/metrics</c>. Default 10 s.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "00:10:00")]
    public TimeSpan CheckEvery { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>Less than so many bytes free on the disk of the data folder counts as nearly full. Default 1 GiB.</summary>
    [Range(0, long.MaxValue)]
    public long MinFreeBytes { get; set; } = 1L << 30;

    /// <summary>A clock that differs from the database's, or jumps, by more than this is said to be off: times at which jobs are due, and deadlines, are compared by it. Default 5 s.</summary>
    [Range(typeof(TimeSpan), "00:00:00.1", "01:00:00")]
    public TimeSpan MaxClockOffset { get; set; } = TimeSpan.FromSeconds(5);
}
