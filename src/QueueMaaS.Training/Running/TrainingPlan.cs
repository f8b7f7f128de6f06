using QueueMaaS.Contracts;
using QueueMaaS.Training.Checkpoints;
using QueueMaaS.Training.Feeding;
using QueueMaaS.Training.Specification;

namespace QueueMaaS.Training.Running;

/// <summary>Everything that a training needs to begin, or to go on.</summary>
public sealed record TrainingPlan
{
    /// <summary>How to train.</summary>
    public required TrainingSettings Settings { get; init; }
    /// <summary>What to train on.</summary>
    public required ExampleSet Data { get; init; }
    /// <summary>The network, with nothing left open.</summary>
    public required ModelSpecification Network { get; init; }
    /// <summary>First weights from elsewhere, by name; the others begin as the network says.</summary>
    public IReadOnlyDictionary<string, WeightValues>? FirstWeights { get; init; }
    /// <summary>The state of an interrupted training of this very plan, to go on from.</summary>
    public TrainingSnapshot? Resume { get; init; }

    /// <summary>A plan whose network is the one that the settings name, or the given preset.</summary>
    public static TrainingPlan For(TrainingSettings settings, ExampleSet data, string preset = ModelPresets.Default)
    {
        ArgumentNullException.ThrowIfNull(settings);
        ArgumentNullException.ThrowIfNull(data);
        var network = settings.Network ?? ModelPresets.Create(settings.Preset ?? preset);
        return new TrainingPlan { Settings = settings, Data = data, Network = network.For(data.Targets.Outputs, data.Tokens) }.WithViews();
    }

    /// <summary>The plan with the views that its settings ask for, whatever its network had before.</summary>
    /// <exception cref="ProblemException"><c>invalid_value</c>: the data are no images, or the answers are images.</exception>
    internal TrainingPlan WithViews()
    {
        if (Settings.Views is not { } views)
            return this;
        if (!Data.Inputs.Shape.IsImage || Data.Targets.Task == TrainingTask.Autoencoding)
            throw NothingToView();
        return this with { Network = Network.With(views) };
    }

    internal static ProblemException NothingToView() =>
        new(ProblemCodes.InvalidValue, "The field 'views' of the training input is for images with labels or numbers to learn. Leave it out.", ("field", "views"));
}

/// <summary>What a training calls while it runs, always on its own thread.</summary>
public sealed record TrainingHooks
{
    /// <summary>At most twice a second, and after every epoch; must return soon.</summary>
    public Action<TrainingProgress>? Report { get; init; }
    /// <summary>After every step, with the number of steps done since the start; what it throws ends the training.</summary>
    public Action<long>? AfterStep { get; init; }
    /// <summary>Stores a state; what it throws ends the training.</summary>
    public Action<TrainingSnapshot>? Checkpoint { get; init; }
    /// <summary>Called between two steps: waits while the machine is needed elsewhere.</summary>
    public Action<CancellationToken>? StandBack { get; init; }
}

/// <summary>A trained model and how it went. The caller disposes the model.</summary>
/// <param name="Model">With the weights to export.</param>
/// <param name="History">Every epoch.</param>
/// <param name="Final">How it does on the validation items.</param>
/// <param name="Epoch">The epoch whose weights these are.</param>
/// <param name="StoppedBy">Why the training ended before its last epoch, where it did.</param>
/// <param name="Device">What it was trained on: <c>cpu</c> or <c>cuda</c>.</param>
public sealed record TrainedModel(BuiltModel Model, IReadOnlyList<EpochMetrics> History, Evaluation.EvaluationResult Final, int Epoch, string? StoppedBy, string Device);
