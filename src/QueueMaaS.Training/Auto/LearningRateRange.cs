namespace QueueMaaS.Training.Auto;

/// <summary>
/// The learning rate range test (Smith 2017, arXiv 1506.01186): the step size grows from step to step, and where the loss is lowest the training is about to break.
/// A tenth of that step size is taken, as is usual for a rule that also has momentum.
/// </summary>
internal sealed class LearningRateRange(double least = 1e-6, double most = 1, int steps = 100)
{
    private const double Smoothing = 0.9;
    private const double Broken = 4;
    private const double Below = 10;
    private double _mean;
    private double _first = double.NaN;
    private int _lowest;

    /// <summary>The step size at the lowest loss so far.</summary>
    public double Lowest => At(_lowest);

    private double Best { get; set; } = double.PositiveInfinity;

    /// <summary>Steps of the whole test.</summary>
    public int Steps => steps;

    /// <summary>Below this a training gets nowhere.</summary>
    private const double Floor = 1e-5;

    /// <summary>False where the loss only grew, or so soon that what is left of the step size would get nowhere.</summary>
    public bool IsFound => Lowest / Below >= Floor;

    /// <summary>What is proposed, where one was found.</summary>
    public double Proposal => Math.Clamp(Lowest / Below, Floor, 0.1);

    /// <summary>The step size of a step, from 0.</summary>
    public double At(int step) => least * Math.Pow(most / least, step / (double)(steps - 1));

    /// <summary>Takes the loss of a step; false where the test is over.</summary>
    public bool Add(int step, double loss)
    {
        if (!double.IsFinite(loss))
            return false;
        _mean = (Smoothing * _mean) + ((1 - Smoothing) * loss);
        // The mean begins at zero and is corrected for that, as in Adam.
        var smooth = _mean / (1 - Math.Pow(Smoothing, step + 1));
        if (double.IsNaN(_first))
            _first = smooth;
        if (smooth < Best)
            (Best, _lowest) = (smooth, step);
        return step + 1 < steps && smooth < Broken * Math.Max(Best, 1e-12) && smooth < Broken * _first;
    }
}
