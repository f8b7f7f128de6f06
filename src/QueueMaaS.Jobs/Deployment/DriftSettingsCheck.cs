using QueueMaaS.Contracts;

namespace QueueMaaS.Jobs.Deployment;

/// <summary>Holds a monitor's settings to their ranges.</summary>
public static class DriftSettingsCheck
{
    /// <exception cref="ProblemException"><c>invalid_value</c>.</exception>
    public static void Check(DriftSettings settings, string path)
    {
        ArgumentNullException.ThrowIfNull(settings);
        if (settings.Threshold is not (> 0 and <= 100))
            throw Invalid($"{path}.threshold", "above 0 and at most 100");
        if (settings.WindowSeconds is not (>= 1 and <= 2_592_000))
            throw Invalid($"{path}.windowSeconds", "from 1 to 2,592,000");
        if (settings.MinRows is < 50 or > 10_000_000)
            throw Invalid($"{path}.minRows", "from 50 (fewer say nothing) to 10,000,000");
    }

    private static ProblemException Invalid(string path, string range) => new(ProblemCodes.InvalidValue, $"`{path}` must be {range}.", ("path", $"input.{path}"));
}
