using QueueMaaS.Contracts;

namespace QueueMaaS.Training.Optimisation;

/// <summary>The step size at each change of the weights. A function of the step and the epoch, but for <see cref="ScheduleKind.Plateau"/>, which remembers.</summary>
internal sealed class LearningRateSchedule(ScheduleSettings settings, double learningRate, int epochs, int stepsPerEpoch)
{
    private readonly long _total = Math.Max(1, (long)epochs * stepsPerEpoch);

    /// <summary>What a plateau remembers.</summary>
    public PlateauState Plateau { get; set; } = new(1, null, 0);

    /// <summary>The step size.</summary>
    /// <param name="step">Changes of the weights before this one.</param>
    /// <param name="epoch">From 1.</param>
    public double At(long step, int epoch)
    {
        if (step < settings.WarmUpSteps)
            return learningRate * (step + 1) / settings.WarmUpSteps;
        // The share of the way from the end of the warm-up to the end of the training.
        var done = Math.Min(1, (double)(step - settings.WarmUpSteps) / Math.Max(1, _total - settings.WarmUpSteps));
        return learningRate * settings.Kind switch
        {
            ScheduleKind.Step => Math.Pow(settings.Factor ?? 0.1, (epoch - 1) / (settings.Every ?? 1)),
            ScheduleKind.Exponential => Math.Pow(settings.Factor ?? 0.95, epoch - 1),
            ScheduleKind.Cosine => settings.Floor + (1 - settings.Floor) * (1 + Math.Cos(Math.PI * done)) / 2,
            ScheduleKind.Linear => 1 - (1 - settings.Floor) * done,
            ScheduleKind.OneCycle => OneCycle(step),
            ScheduleKind.Plateau => Plateau.Factor,
            _ => 1,
        };
    }

    /// <summary>Tells a plateau how an epoch went.</summary>
    public void EndEpoch(double validationLoss)
    {
        if (settings.Kind != ScheduleKind.Plateau)
            return;
        if (Plateau.Best is not { } best || validationLoss < best)
            Plateau = Plateau with { Best = validationLoss, Waited = 0 };
        else if (Plateau.Waited < settings.Patience)
            Plateau = Plateau with { Waited = Plateau.Waited + 1 };
        else
            Plateau = Plateau with { Factor = Math.Max(settings.Floor, Plateau.Factor * (settings.Factor ?? 0.1)), Waited = 0 };
    }

    private double OneCycle(long step)
    {
        var top = Math.Max(1, settings.Peak * _total - 1);
        return step <= top
            ? Between(settings.Start, 1, step / top)
            : Between(1, settings.Start / 1e4, Math.Min(1, (step - top) / Math.Max(1, _total - 1 - top)));
    }

    private static double Between(double from, double to, double share) => to + (from - to) * (1 + Math.Cos(Math.PI * share)) / 2;
}

/// <summary>What a plateau schedule remembers.</summary>
/// <param name="Factor">What the step size is multiplied by.</param>
/// <param name="Best">The best validation loss so far.</param>
/// <param name="Waited">Epochs since.</param>
internal sealed record PlateauState(double Factor, double? Best, int Waited);
