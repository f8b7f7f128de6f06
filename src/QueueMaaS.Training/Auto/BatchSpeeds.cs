namespace QueueMaaS.Training.Auto;

/// <summary>The speed of training at a batch size.</summary>
internal readonly record struct BatchSpeed(int BatchSize, double ItemsPerSecond);

/// <summary>
/// Measures batch sizes in turn, several times over, and keeps the best of each: on a machine that others use a run may be slow for reasons of its own, but none is too fast,
/// and what slows one round down does not hit the same size in all of them.
/// </summary>
internal static class BatchSpeeds
{
    public const int Rounds = 3;

    /// <param name="sizes">Ascending.</param>
    /// <param name="run">One short run: items per second.</param>
    /// <param name="obstacle">Why a size cannot be measured at this time, given the speeds so far; null where it can.</param>
    /// <param name="again">Whether there is time for one more run of a size.</param>
    public static (IReadOnlyList<BatchSpeed> Speeds, string? LimitedBy) Measure(IEnumerable<int> sizes, Func<int, double?> run, Func<int, IReadOnlyList<BatchSpeed>, string?> obstacle, Func<BatchSpeed, bool> again)
    {
        var speeds = new List<BatchSpeed>();
        string? limited = null;
        foreach (var size in sizes)
        {
            limited = obstacle(size, speeds);
            if (limited is not null)
                break;
            if (run(size) is not { } speed)
            {
                limited = $"{size} did not fit into memory";
                break;
            }

            speeds.Add(new(size, speed));
        }

        for (var round = 1; round < Rounds; round++)
        {
            for (var i = 0; i < speeds.Count; i++)
            {
                if (again(speeds[i]) && run(speeds[i].BatchSize) is { } speed && speed > speeds[i].ItemsPerSecond)
                    speeds[i] = speeds[i] with { ItemsPerSecond = speed };
            }
        }

        return (speeds, limited);
    }
}
