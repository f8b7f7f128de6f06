using QueueMaaS.Contracts;
using QueueMaaS.Training.Optimisation;
using QueueMaaS.Training.Specification;

namespace QueueMaaS.Training.Checkpoints;

/// <summary>The whole state of a training between two steps: with it another process goes on to exactly the same weights.</summary>
/// <param name="State">Where it stands.</param>
/// <param name="Tensors">Weights, the optimizer's buffers, averages, the best weights so far, and a probe, each under its part's name: <c>model/…</c>, <c>optimizer/…</c>, <c>average/…</c>, <c>best/…</c>, <c>probe/…</c>.</param>
public sealed record TrainingSnapshot(TrainerState State, IReadOnlyDictionary<string, WeightValues> Tensors)
{
    internal const string ModelPart = "model/";
    internal const string OptimizerPart = "optimizer/";
    internal const string AveragePart = "average/";
    internal const string BestPart = "best/";
    internal const string ProbeInput = "probe/input";
    internal const string ProbeOutput = "probe/output";

    /// <summary><c>epoch-3</c> after an epoch, <c>epoch-4-step-120</c> within one.</summary>
    public string Id => State.Step == 0 ? $"epoch-{State.Epoch - 1}" : $"epoch-{State.Epoch}-step-{State.Step}";

    /// <summary>The weights that this state would export: the averages where there are any.</summary>
    public IReadOnlyDictionary<string, WeightValues> ExportWeights() => Part(Tensors.Keys.Any(k => k.StartsWith(AveragePart, StringComparison.Ordinal)) ? AveragePart : ModelPart);

    /// <summary>The tensors of one part, by their names within it.</summary>
    internal IReadOnlyDictionary<string, WeightValues> Part(string part) =>
        Tensors.Where(t => t.Key.StartsWith(part, StringComparison.Ordinal)).ToDictionary(t => t.Key[part.Length..], t => t.Value, StringComparer.Ordinal);
}

/// <summary>Where a training stands.</summary>
public sealed record TrainerState
{
    /// <summary>The epoch to be trained, from 1; one more than there are after the last.</summary>
    public required int Epoch { get; init; }
    /// <summary>Steps done in it: the place in the data.</summary>
    public required int Step { get; init; }
    /// <summary>Steps done since the start.</summary>
    public required long Steps { get; init; }
    /// <summary>Changes of the weights since the start.</summary>
    public required long Updates { get; init; }
    /// <summary>Sum of the losses of this epoch's items.</summary>
    public required double LossSum { get; init; }
    /// <summary>Items of this epoch that were right.</summary>
    public required double Right { get; init; }
    /// <summary>Items of this epoch so far.</summary>
    public required int Items { get; init; }
    /// <summary>Seconds of training so far, interruptions left out.</summary>
    public required double Seconds { get; init; }
    /// <summary>The finished epochs.</summary>
    public required IReadOnlyList<EpochMetrics> History { get; init; }
    /// <summary>The best figure that early stopping has seen.</summary>
    public double? Best { get; init; }
    /// <summary>The epoch of that figure.</summary>
    public int BestEpoch { get; init; }
    /// <summary>Why the training is to end now, where it is.</summary>
    public string? StoppedBy { get; init; }
    /// <summary>What a plateau schedule remembers.</summary>
    public double PlateauFactor { get; init; } = 1;
    /// <summary>See <see cref="PlateauFactor"/>.</summary>
    public double? PlateauBest { get; init; }
    /// <summary>See <see cref="PlateauFactor"/>.</summary>
    public int PlateauWaited { get; init; }

    internal PlateauState Plateau => new(PlateauFactor, PlateauBest, PlateauWaited);
}
