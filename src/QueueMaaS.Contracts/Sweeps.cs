using System.Text.Json;

namespace QueueMaaS.Contracts;

/// <summary>The input of a sweep: one training, varied. Its trials are trainings of their own, spread over all training workers by the queue; the best one is registered.</summary>
public sealed record SweepInput
{
    /// <summary>The training that is varied: a <see cref="TrainingInput"/>. Its <c>model</c> may be left out where <see cref="Register"/> is given.</summary>
    public required JsonElement Training { get; init; }
    /// <summary>What is varied, and how.</summary>
    public required SearchSettings Search { get; init; }
    /// <summary>What is compared: <c>validationAccuracy</c>, <c>validationBalancedAccuracy</c> (the mean over the classes of the share that is right), <c>validationMacroF1</c> or <c>validationR2</c> (the greater the better), <c>validationLoss</c> or <c>validationError</c> (the smaller). Default: <c>validationAccuracy</c> where there are classes (auto: <c>validationBalancedAccuracy</c> where they are of very different size), else <c>validationLoss</c>.</summary>
    public string? Metric { get; init; }
    /// <summary>The name to register the best trial's model under. Default: the training's <c>model</c>.</summary>
    public string? Register { get; init; }
    /// <summary>The share of all trials that may fail, 0 to 1; beyond it the sweep fails. Default 0.5.</summary>
    public double? MaxFailedShare { get; init; }
    /// <summary>Most trials handed out and not ended at the same time, 1 to 1,000. Default: as many as the workers take, and some that wait for them.</summary>
    public int? Concurrency { get; init; }
    /// <summary>How often a trial is tried in all, 1 to 20. Default 3.</summary>
    public int? TrialAttempts { get; init; }
    /// <summary>True: the checkpoints of all trials are kept after the end, so that any of them can be registered. Default false: those of the best one are.</summary>
    public bool KeepCheckpoints { get; init; }
}

/// <summary>What a sweep varies, and how.</summary>
public sealed record SearchSettings
{
    /// <summary>The way.</summary>
    public required SearchMethod Method { get; init; }
    /// <summary>random and asha: how many trials. Not for grid, which tries every point; for asha with <see cref="FromGrid"/> it may be left out.</summary>
    public int? Trials { get; init; }
    /// <summary>Seeds what is drawn. Default 0.</summary>
    public long? Seed { get; init; }
    /// <summary>All but auto: by field of the training (<c>learningRate</c>, <c>optimization.weightDecay</c>, <c>network[0].out</c>, <c>data.columns["a.b"].scaling</c>): what it is varied over.</summary>
    public IReadOnlyDictionary<string, SearchRange>? Space { get; init; }
    /// <summary>auto: minutes from the beginning of the first measurement to the best model, on one worker, above 0 up to 10,080 (a week).</summary>
    public double? Minutes { get; init; }
    /// <summary>asha: of the trials of a rung, one in so many goes on to the next; also by how much the rungs' epochs grow. 2 to 16, default 3.</summary>
    public int? Reduction { get; init; }
    /// <summary>asha: epochs of the lowest rung, at least 1. Default 1. The highest rung has the training's <c>epochs</c>.</summary>
    public int? MinEpochs { get; init; }
    /// <summary>asha: its trials are the points of the grid, in an order drawn by the seed, rather than random ones. Default false.</summary>
    public bool FromGrid { get; init; }
}

/// <summary>Ways to search.</summary>
public enum SearchMethod
{
    /// <summary>Every point.</summary>
    Grid,
    /// <summary>Points drawn at random (Bergstra and Bengio 2012).</summary>
    Random,
    /// <summary>Asynchronous successive halving: many trials are begun, and only the best of each rung go on (Li et al. 2018, arXiv 1810.05934).</summary>
    Asha,
    /// <summary>Settings are chosen by what the data is and by what is measured on a worker, and the time budget is spent on a small asha search around them. What the training says itself is kept.</summary>
    Auto,
}

/// <summary>What one field is varied over: exactly one of <see cref="Values"/>, <see cref="Uniform"/>, <see cref="LogUniform"/>, <see cref="Integer"/> and <see cref="LogInteger"/>.</summary>
public sealed record SearchRange
{
    /// <summary>These values, of any type that the field takes.</summary>
    public IReadOnlyList<JsonElement>? Values { get; init; }
    /// <summary>Numbers from the first to the second, each as likely.</summary>
    public IReadOnlyList<double>? Uniform { get; init; }
    /// <summary>Numbers from the first (above 0) to the second, each order of magnitude as likely.</summary>
    public IReadOnlyList<double>? LogUniform { get; init; }
    /// <summary>Whole numbers from the first to the second, both included.</summary>
    public IReadOnlyList<long>? Integer { get; init; }
    /// <summary>Whole numbers from the first (at least 1) to the second, each order of magnitude as likely.</summary>
    public IReadOnlyList<long>? LogInteger { get; init; }
    /// <summary>On a grid: how many points of the range are taken, evenly (on its own scale), its ends included. Needed for <see cref="Uniform"/>, <see cref="LogUniform"/> and <see cref="LogInteger"/>; <see cref="Integer"/> without it gives every number.</summary>
    public int? Points { get; init; }
}

/// <summary>What makes a training a trial of a sweep. Written by the service; refused from a producer.</summary>
public sealed record TrialSettings
{
    /// <summary>The sweep's job.</summary>
    public required string Sweep { get; init; }
    /// <summary>The trial's number, from 1.</summary>
    public required int Number { get; init; }
    /// <summary>Seeds the split and the draw of <see cref="TrainingInput.Limit"/> where the sweep varies the training's seed: all trials are validated on the same items.</summary>
    public long? DataSeed { get; init; }
    /// <summary>asha: the rung, from 0.</summary>
    public int Rung { get; init; }
    /// <summary>It ends after this epoch, though its schedule is that of all epochs.</summary>
    public int? UntilEpoch { get; init; }
    /// <summary>The job whose latest checkpoint it goes on from.</summary>
    public string? From { get; init; }
    /// <summary>True for the one that exports and registers the best trial's model.</summary>
    public bool Register { get; init; }
    /// <summary>auto: the time budget, of the one job that measures and proposes settings.</summary>
    public double? ProbeMinutes { get; init; }
}

/// <summary>The result of the measuring job of an auto sweep: what is tried, and why.</summary>
public sealed record AutoProposal
{
    /// <summary>Settings of all trials; what the job said itself is not among them.</summary>
    public required JsonElement Training { get; init; }
    /// <summary>What is varied, by trial.</summary>
    public required IReadOnlyList<IReadOnlyDictionary<string, JsonElement>> Points { get; init; }
    /// <summary>Epochs of the lowest rung.</summary>
    public required int MinEpochs { get; init; }
    /// <summary>What trials are to be compared by, where the sweep does not say so.</summary>
    public string? Metric { get; init; }
    /// <summary>Why each thing was chosen, in the order in which that was done.</summary>
    public required IReadOnlyList<AutoReason> Reasons { get; init; }
    /// <summary>Measured seconds of an epoch.</summary>
    public required double SecondsPerEpoch { get; init; }
}

/// <summary>Why something was chosen.</summary>
/// <param name="Field">The field of the training, <c>trials</c>, or <c>metric</c>.</param>
/// <param name="Value">What was chosen.</param>
/// <param name="Reason">Why: what was seen or measured.</param>
public sealed record AutoReason(string Field, JsonElement Value, string Reason);

/// <summary>The result of a trial: figures, and a checkpoint to go on from; no model is registered.</summary>
public sealed record TrialOutput
{
    /// <summary>Its place in the sweep.</summary>
    public required TrialSettings Trial { get; init; }
    /// <summary>The data set with its version.</summary>
    public required string Dataset { get; init; }
    /// <summary>What was learned.</summary>
    public required TrainingTask Task { get; init; }
    /// <summary>Figures on the validation items, of the weights that would be exported: <c>validationAccuracy</c>, <c>validationBalancedAccuracy</c>, <c>validationMacroF1</c>, <c>validationLoss</c>, <c>validationError</c>, <c>validationR2</c>, as far as the task has them.</summary>
    public required IReadOnlyDictionary<string, double> Metrics { get; init; }
    /// <summary>Every epoch so far.</summary>
    public required IReadOnlyList<EpochMetrics> History { get; init; }
    /// <summary>The epoch whose weights the figures are of.</summary>
    public required int Epoch { get; init; }
    /// <summary>Why it ended before its last epoch, where it did: <c>earlyStopping</c> or <c>timeBudget</c>.</summary>
    public string? StoppedBy { get; init; }
    /// <summary>Numbers that are learned.</summary>
    public required long Parameters { get; init; }
    /// <summary>What it was trained on, such as <c>cpu</c>.</summary>
    public required string Device { get; init; }
    /// <summary>Seconds of this job.</summary>
    public required double Seconds { get; init; }
}

/// <summary>A step of an asha sweep, as its history has it (events of the type <c>decision</c>): written before it is carried out, and never taken back.</summary>
public sealed record SweepDecision
{
    /// <summary>1, 2, 3 …</summary>
    public required int Step { get; init; }
    /// <summary><c>start</c> a new trial; <c>promote</c> one to the next rung; <c>finish</c>: nothing else is left to do, and the best one has yet to reach the highest rung.</summary>
    public required string Action { get; init; }
    /// <summary>The trial.</summary>
    public required int Trial { get; init; }
    /// <summary>The rung that it is to reach, from 0.</summary>
    public required int Rung { get; init; }
    /// <summary>Its figure in the rung below.</summary>
    public double? Metric { get; init; }
    /// <summary>Why.</summary>
    public required string Reason { get; init; }
}

/// <summary>How far a sweep is.</summary>
public sealed record SweepProgress
{
    /// <summary><c>measuring</c> (auto), <c>running</c> or <c>registering</c>.</summary>
    public required string Phase { get; init; }
    /// <summary>Trials in all.</summary>
    public required int Trials { get; init; }
    /// <summary>Trials begun: handed out to the queue.</summary>
    public required int Started { get; init; }
    /// <summary>Trainings that a worker is on.</summary>
    public required int Running { get; init; }
    /// <summary>Trainings that wait for a worker.</summary>
    public required int Waiting { get; init; }
    /// <summary>Trials with a figure.</summary>
    public required int Measured { get; init; }
    /// <summary>Trials that failed.</summary>
    public required int Failed { get; init; }
    /// <summary>The best trial so far.</summary>
    public SweepTrial? Best { get; init; }
    /// <summary>asha: the rungs, the lowest first.</summary>
    public IReadOnlyList<SweepRung>? Rungs { get; init; }
    /// <summary>Estimated seconds to the end, by the trials so far; grid and random only.</summary>
    public double? SecondsLeft { get; init; }
}

/// <summary>A rung of an asha sweep.</summary>
/// <param name="Epochs">The epochs that a trial has had when it is there.</param>
/// <param name="Reached">Trials that are there or beyond.</param>
/// <param name="Promoted">Of these, how many went on.</param>
public sealed record SweepRung(int Epochs, int Reached, int Promoted);

/// <summary>A trial as the leaderboard shows it.</summary>
public sealed record SweepTrial
{
    /// <summary>1 for the best; left out where there is no figure yet.</summary>
    public int? Rank { get; init; }
    /// <summary>Its number, from 1.</summary>
    public required int Trial { get; init; }
    /// <summary>What was varied, by field.</summary>
    public required IReadOnlyDictionary<string, JsonElement> Parameters { get; init; }
    /// <summary>The state of its latest job; left out before it is begun. <c>cancelled</c> for the best one, too, where it was going on when an auto sweep's budget was spent: what it had reached before stands, and is registered.</summary>
    public JobState? State { get; init; }
    /// <summary>Its figure; of several rungs the best one, whose checkpoint is the one that is registered.</summary>
    public double? Metric { get; init; }
    /// <summary>All its figures, of the same checkpoint.</summary>
    public IReadOnlyDictionary<string, double>? Metrics { get; init; }
    /// <summary>asha: the rung of the same checkpoint, from 0; before there is a figure, that of its latest job.</summary>
    public int? Rung { get; init; }
    /// <summary>asha: the rung of its latest job, from 0. Trials are ranked by the highest rung that they have a figure of.</summary>
    public int? Reached { get; init; }
    /// <summary>Epochs trained, of the same checkpoint.</summary>
    public int? Epochs { get; init; }
    /// <summary>Seconds of training, of all its jobs that have ended.</summary>
    public double? Seconds { get; init; }
    /// <summary>The job that the checkpoint is of; before there is a figure, its latest job.</summary>
    public string? Job { get; init; }
    /// <summary>Its latest job, where that is another: <see cref="State"/> and <see cref="Error"/> are that one's.</summary>
    public string? LatestJob { get; init; }
    /// <summary>Why it failed.</summary>
    public Problem? Error { get; init; }
}

/// <summary>All trials of a sweep, the best first: by rung, then by figure, then by number; after them those without a figure, by number.</summary>
public sealed record SweepLeaderboard
{
    /// <summary>The sweep's job.</summary>
    public required string Sweep { get; init; }
    /// <summary>Where the sweep is in its life.</summary>
    public required JobState State { get; init; }
    /// <summary>What is compared; left out until it is known.</summary>
    public string? Metric { get; init; }
    /// <summary>Trials in all.</summary>
    public required int Count { get; init; }
    /// <summary>The trials asked for.</summary>
    public required IReadOnlyList<SweepTrial> Trials { get; init; }
}

/// <summary>The result of a sweep.</summary>
public sealed record SweepOutput
{
    /// <summary>The model's name.</summary>
    public required string Model { get; init; }
    /// <summary>The version registered: the best trial's.</summary>
    public required int Version { get; init; }
    /// <summary>The alias that now points at it, if one was asked for or it is the first version.</summary>
    public string? Alias { get; init; }
    /// <summary>Why the alias of <c>deploy</c> did not move, where it did not: the version is registered all the same.</summary>
    public Problem? DeployRefused { get; init; }
    /// <summary>The job that judges the gate, where one was declared: its output is the decision.</summary>
    public string? Promotion { get; init; }
    /// <summary>What was compared.</summary>
    public required string Metric { get; init; }
    /// <summary>The best trial.</summary>
    public required SweepTrial Best { get; init; }
    /// <summary>The whole input of the best trial's training.</summary>
    public required JsonElement Training { get; init; }
    /// <summary>Trials in all.</summary>
    public required int Trials { get; init; }
    /// <summary>Trials that failed.</summary>
    public required int Failed { get; init; }
    /// <summary>The best ten.</summary>
    public required IReadOnlyList<SweepTrial> Leaderboard { get; init; }
    /// <summary>auto: why the settings were chosen.</summary>
    public IReadOnlyList<AutoReason>? Reasons { get; init; }
    /// <summary>Seconds of training over all trials.</summary>
    public required double TrainingSeconds { get; init; }
}
