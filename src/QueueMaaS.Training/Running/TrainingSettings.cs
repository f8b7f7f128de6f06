using QueueMaaS.Contracts;
using QueueMaaS.Training.Optimisation;
using QueueMaaS.Training.Specification;

namespace QueueMaaS.Training.Running;

/// <summary>
/// A <see cref="TrainingInput"/> with its defaults filled in and its ranges checked.
/// The API makes one before it accepts a job, so nothing here may touch TorchSharp: a process that only answers requests must never load libtorch.
/// </summary>
public sealed record TrainingSettings
{
    /// <summary>The name to register the model under.</summary>
    public required string Model { get; init; }
    /// <summary>The data set's reference.</summary>
    public required string Dataset { get; init; }
    /// <summary>What is learned; null: what fits the data.</summary>
    public TrainingTask? Task { get; init; }
    /// <summary>One of <see cref="KnownPresets"/>; null: what fits the data, or there is a <see cref="Network"/>.</summary>
    public string? Preset { get; init; }
    /// <summary>The network that the job spells out.</summary>
    public ModelSpecification? Network { get; init; }
    /// <summary>The model to begin with.</summary>
    public StartingModel? StartFrom { get; init; }
    /// <summary>How the data is prepared.</summary>
    public DataPreparation Data { get; init; } = new();
    /// <summary>What is made small.</summary>
    public LossSettings Loss { get; init; } = new();
    /// <summary>1 to 1,000.</summary>
    public required int Epochs { get; init; }
    /// <summary>1 to 8,192.</summary>
    public required int BatchSize { get; init; }
    /// <summary>Above 0, at most 10.</summary>
    public required double LearningRate { get; init; }
    /// <summary>One of <see cref="WeightUpdate.Known"/>.</summary>
    public required string Optimizer { get; init; }
    /// <summary>The optimizer's own settings and more.</summary>
    public OptimizationSettings Optimization { get; init; } = new();
    /// <summary>How the step size changes.</summary>
    public ScheduleSettings Schedule { get; init; } = new();
    /// <summary>When to stop early.</summary>
    public StoppingSettings Stopping { get; init; } = new();
    /// <summary>When the state is stored.</summary>
    public CheckpointSettings Checkpoints { get; init; } = new();
    /// <summary>What is computed with.</summary>
    public TrainingPrecision Precision { get; init; }
    /// <summary>Views that the model averages over; null: as its network says.</summary>
    public ViewSettings? Views { get; init; }
    /// <summary>Any number.</summary>
    public required long Seed { get; init; }
    /// <summary>A trial of a sweep that varies the seed: what seeds the split and the draw under a limit instead.</summary>
    public long? TrialDataSeed { get; init; }
    /// <summary>Seeds the split and the draw under a limit.</summary>
    public long DataSeed => TrialDataSeed ?? Seed;
    /// <summary>0.01 to 0.9.</summary>
    public required double ValidationShare { get; init; }
    /// <summary>At least 2, or null for all.</summary>
    public int? Limit { get; init; }
    /// <summary>0 to 1.</summary>
    public required double MaxCorruptShare { get; init; }
    /// <summary>The alias to set, if any.</summary>
    public string? Deploy { get; init; }
    /// <summary>A trial of a sweep: it ends after this epoch, with the schedule of all <see cref="Epochs"/>.</summary>
    public int? UntilEpoch { get; init; }
    /// <summary>The last epoch to be trained.</summary>
    public int LastEpoch => Math.Min(Epochs, UntilEpoch ?? Epochs);

    /// <summary>The presets that can be asked for.</summary>
    public static IReadOnlyList<string> KnownPresets => ModelPresets.Known;

    /// <summary>Fills in defaults and checks every range.</summary>
    /// <exception cref="ProblemException"><c>invalid_value</c> naming the field, its value and its range, or <c>specification_invalid</c> for an unknown preset or a network at fault.</exception>
    public static TrainingSettings From(TrainingInput input)
    {
        ArgumentNullException.ThrowIfNull(input);
        Check.That(Identifiers.IsName(input.Model), "model", input.Model, Check.Name);
        Check.That(VersionReference.TryParse(input.Dataset, out var dataset) && dataset.Alias is null, "dataset", input.Dataset, "'name' or 'name@version', such as 'digits@2'");
        Check.That(input.Deploy is null || Identifiers.IsAlias(input.Deploy), "deploy", input.Deploy, $"an alias: {Identifiers.AliasRule}");
        Check.That(input.Preset is null || input.Network is null, "network", "given", "left out where a 'preset' is named");
        if (input.Preset is { } preset && !ModelPresets.Known.Contains(preset, StringComparer.Ordinal))
            throw ModelPresets.Unknown(preset);
        var optimizer = input.Optimizer ?? "adam";
        Check.That(WeightUpdate.Known.Contains(optimizer, StringComparer.Ordinal), "optimizer", optimizer, $"one of {string.Join(", ", WeightUpdate.Known)}");
        Check.Above("learningRate", input.LearningRate ?? 0.001, 0, 10);
        return new()
        {
            Model = input.Model,
            Dataset = input.Dataset,
            Task = input.Task,
            Preset = input.Preset,
            Network = input.Network is { } network ? NetworkJson.Read("network", network) : null,
            StartFrom = SettingsCheck.Start(input.StartFrom),
            Data = DataCheck.Of(input.Data ?? new()),
            Loss = SettingsCheck.Of(input.Loss ?? new()),
            Epochs = Check.InRange("epochs", input.Epochs ?? 10, 1, 1_000),
            BatchSize = Check.InRange("batchSize", input.BatchSize ?? 64, 1, 8_192),
            LearningRate = input.LearningRate ?? 0.001,
            Optimizer = optimizer,
            Optimization = SettingsCheck.Of(input.Optimization ?? new(), optimizer),
            Schedule = SettingsCheck.Of(input.Schedule ?? new()),
            Stopping = SettingsCheck.Of(input.Stopping ?? new()),
            Checkpoints = SettingsCheck.Of(input.Checkpoints ?? new()),
            Precision = input.Precision ?? TrainingPrecision.Float32,
            Views = SettingsCheck.Of(input.Views),
            Seed = input.Seed ?? 0,
            ValidationShare = Check.InRange("validationShare", input.ValidationShare ?? 0.1, 0.01, 0.9),
            Limit = input.Limit is { } limit ? Check.InRange("limit", limit, 2, int.MaxValue) : null,
            MaxCorruptShare = Check.InRange("maxCorruptShare", input.MaxCorruptShare ?? 0.01, 0, 1),
            Deploy = input.Deploy,
            TrialDataSeed = input.Trial?.DataSeed,
            UntilEpoch = input.Trial?.UntilEpoch,
        };
    }
}
