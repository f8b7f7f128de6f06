using System.Globalization;
using QueueMaaS.Contracts;

namespace QueueMaaS.Training.Auto;

/// <summary>A time budget and what has gone of it. What is decided by it and what is said of it come from the same numbers.</summary>
/// <param name="Minutes">The whole.</param>
/// <param name="ReadingSeconds">What reading the data took; the trials and the registration read it again.</param>
/// <param name="MeasuringSeconds">What measuring networks, batch sizes and step sizes took.</param>
internal readonly record struct AutoBudget(double Minutes, double ReadingSeconds, double MeasuringSeconds)
{
    /// <summary>Of the whole, what measuring networks and batch sizes may take.</summary>
    public const double MeasuringShare = 0.15;

    /// <summary>Of the whole, what the range test may take.</summary>
    public const double RangeShare = 0.1;

    /// <summary>Of what is left, what epochs may take: the rest is for exporting, registering and for what a measurement is off by.</summary>
    public const double Spent = 0.75;

    /// <summary>Validating an item is a third of the work of training on it.</summary>
    private const double ValidatingShare = 1 / 3.0;

    /// <summary>A machine that others use may be slower the next time; advice must hold then, too.</summary>
    private const double Caution = 1.5;

    private const int ReadingsToCome = 2;

    /// <summary>Seconds left for everything that is still to be done, never below 0.</summary>
    public double Left => Math.Max(0, (Minutes * 60) - ((1 + ReadingsToCome) * ReadingSeconds) - MeasuringSeconds);

    /// <summary>Seconds for epochs, of all trials together.</summary>
    public double ForEpochs => Left * Spent;

    /// <summary>What one epoch takes, validating included.</summary>
    public static double SecondsPerEpoch(AutoData data, double itemsPerSecond) => Math.Max(0.01, (data.Train + (data.Validation * ValidatingShare)) / itemsPerSecond);

    /// <exception cref="ProblemException"><c>budget_too_small</c>: not one epoch fits.</exception>
    public void RequireEpoch(AutoData data, double secondsPerEpoch)
    {
        if (secondsPerEpoch <= ForEpochs)
            return;
        // A larger budget is measured for longer, too.
        var seconds = (((1 + ReadingsToCome) * ReadingSeconds) + MeasuringSeconds + (Caution * secondsPerEpoch / Spent)) / (1 - MeasuringShare - RangeShare);
        var needed = Math.Ceiling(seconds / 6) / 10;
        var kept = Left - ForEpochs;
        throw new ProblemException(
            ProblemCodes.BudgetTooSmall,
            string.Create(CultureInfo.InvariantCulture, $"The time budget of {Minutes:R} minutes is too small for one epoch, which takes {Up(secondsPerEpoch)} s ({data.Train:N0} items, and {data.Validation:N0} to validate): reading the data took {Up(ReadingSeconds)} s and measuring {Up(MeasuringSeconds)} s, to read it again for training and registering is taken as {Up(ReadingsToCome * ReadingSeconds)} s, and {Up(kept)} s are kept for exporting and for what a measurement is off by, so {Down(ForEpochs)} s are there for epochs. Give at least {needed:0.#} minutes, a `limit` of items, or a smaller `preset`."),
            ("minutes", Minutes), ("neededMinutes", needed), ("secondsPerEpoch", Math.Round(secondsPerEpoch, 2)), ("secondsForEpochs", Math.Round(ForEpochs, 2)));
    }

    /// <summary>Rounded so that what is said to be too much never looks as if it fitted.</summary>
    private static string Up(double seconds) => (Math.Ceiling(seconds * 100) / 100).ToString("0.##", CultureInfo.InvariantCulture);

    private static string Down(double seconds) => (Math.Floor(seconds * 100) / 100).ToString("0.##", CultureInfo.InvariantCulture);
}
