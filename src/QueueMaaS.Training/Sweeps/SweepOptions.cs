using System.ComponentModel.DataAnnotations;

namespace QueueMaaS.Training.Sweeps;

/// <summary>Sweeps (configuration section <c>Sweeps</c>).</summary>
public sealed class SweepOptions
{
    public const string Section = "Sweeps";

    /// <summary>Most trials of one sweep: points of a grid, or trials drawn. Larger sweeps are refused. Default 1,000.</summary>
    [Range(1, 100_000)]
    public int MaxTrials { get; set; } = 1_000;
}
