using System.Text.Json;

namespace QueueMaaS.Contracts;

/// <summary>The input of a training job: everything from the data to the deployed model, in one document. Only <c>model</c> and <c>dataset</c> must be given.</summary>
public sealed record TrainingInput
{
    /// <summary>The name to register the trained model under: 1 to 64 of lower-case letters, digits and <c>- _ .</c>.</summary>
    public required string Model { get; init; }
    /// <summary>The data set: <c>name</c> (its latest version) or <c>name@version</c>.</summary>
    public required string Dataset { get; init; }
    /// <summary>A recipe: <c>name</c> (its latest version) or <c>name@version</c>, such as <c>tabular-default@1</c>. What the job says itself goes over the recipe's settings; null takes one of them away. Default: none.</summary>
    public string? Recipe { get; init; }
    /// <summary>What is learned. Default: classification where the data has classes, regression where its target is numbers.</summary>
    public TrainingTask? Task { get; init; }
    /// <summary>A ready-made network. Default: <c>cnn-small</c> for images, <c>mlp</c> for tables and arrays, <c>text-cnn</c> for texts. Not together with <see cref="Network"/>.</summary>
    public string? Preset { get; init; }
    /// <summary>The layers of the network, each <c>{"type": "conv2d", "out": 32, "kernel": 3, …}</c>: see docs/training.md.</summary>
    public IReadOnlyList<JsonElement>? Network { get; init; }
    /// <summary>A registered model, trained here, whose weights are the first ones.</summary>
    public StartingModel? StartFrom { get; init; }
    /// <summary>Which columns, how they are prepared, and how the data is split and varied. Default: what fits the data set.</summary>
    public DataPreparation? Data { get; init; }
    /// <summary>What is made small. Default: what fits the task.</summary>
    public LossSettings? Loss { get; init; }
    /// <summary>Passes over the training items, 1 to 1,000. Default 10.</summary>
    public int? Epochs { get; init; }
    /// <summary>Items per step, 1 to 8,192. Default 64.</summary>
    public int? BatchSize { get; init; }
    /// <summary>The step size, above 0 and at most 10. Default 0.001.</summary>
    public double? LearningRate { get; init; }
    /// <summary><c>gradientDescent</c> (one step per epoch-sized batch is up to <see cref="BatchSize"/>; no momentum), <c>sgd</c> (momentum 0.9), <c>adagrad</c>, <c>rmsprop</c>, <c>adam</c>, <c>adamw</c> or <c>muon</c>. Default <c>adam</c>.</summary>
    public string? Optimizer { get; init; }
    /// <summary>The optimizer's own settings, weight decay, clipping, accumulation, averaged weights, groups of weights.</summary>
    public OptimizationSettings? Optimization { get; init; }
    /// <summary>How the step size changes. Default: it does not.</summary>
    public ScheduleSettings? Schedule { get; init; }
    /// <summary>When to stop before the last epoch. Default: never.</summary>
    public StoppingSettings? Stopping { get; init; }
    /// <summary>When the state of the training is stored. Default: after every epoch and every ten minutes, and the latest three are kept.</summary>
    public CheckpointSettings? Checkpoints { get; init; }
    /// <summary><c>float32</c>, <c>bfloat16</c> (products and what passes between them in bfloat16, weights and sums in float32) or <c>fastest</c> (bfloat16 where the device has instructions for it). Default <c>float32</c>.</summary>
    public TrainingPrecision? Precision { get; init; }
    /// <summary>Seeds the weights, the split, the order of items and everything else that is random. Default 0.</summary>
    public long? Seed { get; init; }
    /// <summary>The share of items kept apart for validation where the data set has no split of its own, 0.01 to 0.9. Default 0.1.</summary>
    public double? ValidationShare { get; init; }
    /// <summary>Images: the model answers with the average over several views of its input, also where it is served. Default: it looks at its input once.</summary>
    public ViewSettings? Views { get; init; }
    /// <summary>Use at most this many items, drawn evenly over the classes.</summary>
    public int? Limit { get; init; }
    /// <summary>The share of unreadable items up to which training goes on, 0 to 1. Default 0.01. They are counted and named in the result.</summary>
    public double? MaxCorruptShare { get; init; }
    /// <summary>The alias to point at the new version once it is registered, such as <c>production</c>. Default: none (the first version of a name becomes <c>production</c> by itself).</summary>
    public string? Deploy { get; init; }
    /// <summary>What must hold before <see cref="Deploy"/> is done: judged by a job of its own with this one's id and <c>:gate</c>, once the version is registered. With a gate no alias moves by itself, not even for the first version of a name. Default: none.</summary>
    public DeploymentGate? Gate { get; init; }
    /// <summary>Watch whether what the new version serves stays like the data that it was trained on: a job of its own with this one's id and <c>:baseline</c> summarises that data. Default: not watched.</summary>
    public DriftSettings? Monitor { get; init; }
    /// <summary>Written by the service where the training is a trial of a sweep; refused from a producer.</summary>
    public TrialSettings? Trial { get; init; }
}

/// <summary>The views of an image that a model averages over (test-time augmentation): better answers, at the cost of one run for each view.</summary>
public sealed record ViewSettings
{
    /// <summary>True: each image is seen mirrored left to right, too. Default false.</summary>
    public bool Mirror { get; init; }
    /// <summary>Above 0: each image is seen shifted by so many pixels up and left, and down and right, too, its edge reflected; the two weigh as much as the unshifted one together. 0 to 64. Default 0.</summary>
    public int Shift { get; init; }
}

/// <summary>What is learned.</summary>
public enum TrainingTask
{
    /// <summary>Which one of two or more classes.</summary>
    Classification,
    /// <summary>Which of several labels, any number at once.</summary>
    MultiLabel,
    /// <summary>One or more numbers.</summary>
    Regression,
    /// <summary>The input again.</summary>
    Autoencoding,
}

/// <summary>Numbers that a training computes with.</summary>
public enum TrainingPrecision
{
    /// <summary>32 bits.</summary>
    Float32,
    /// <summary>Products and what passes between them in 16 bits (8 of them for the exponent), weights and sums in 32.</summary>
    Bfloat16,
    /// <summary><see cref="Bfloat16"/> where the device has instructions for it (CUDA devices, processors with AVX512-BF16 or AMX), else <see cref="Float32"/>.</summary>
    Fastest,
}

/// <summary>A registered model to begin with.</summary>
public sealed record StartingModel
{
    /// <summary>The model: <c>name</c>, <c>name@3</c> or <c>name@alias</c>. Its network is taken, too, unless the job names one; weights whose layer or shape differs begin anew (a new head).</summary>
    public required string Model { get; init; }
    /// <summary>Layers that are not trained, by id; <c>*</c> stands for any letters: <c>stem.*</c>. Default: all are trained.</summary>
    public IReadOnlyList<string>? Freeze { get; init; }
    /// <summary>Layers that begin anew, by id, with <c>*</c> as above. Default: those whose shape differs.</summary>
    public IReadOnlyList<string>? Reset { get; init; }
}

/// <summary>What is made small.</summary>
public sealed record LossSettings
{
    /// <summary>Default: <c>crossEntropy</c> for classification, <c>binaryCrossEntropy</c> for multiLabel, <c>meanSquared</c> for regression and autoencoding.</summary>
    public LossKind? Kind { get; init; }
    /// <summary>Classes: their weights by name; classes left out have 1. Not together with <see cref="Balanced"/>.</summary>
    public IReadOnlyDictionary<string, double>? ClassWeights { get; init; }
    /// <summary>Classes: weights that make every class count the same, from their frequencies in the training items. Default false.</summary>
    public bool Balanced { get; init; }
    /// <summary>Classes: the share of the target given evenly to all classes, 0 to below 1 (arXiv 1512.00567). Default 0.</summary>
    public double LabelSmoothing { get; init; }
    /// <summary><c>smoothL1</c>: where the square ends and the line begins, above 0. Default 1.</summary>
    public double Beta { get; init; } = 1;
}

/// <summary>Losses.</summary>
public enum LossKind
{
    /// <summary>Of a softmax over the classes.</summary>
    CrossEntropy,
    /// <summary>Of a sigmoid for each label.</summary>
    BinaryCrossEntropy,
    /// <summary>The mean square of the differences.</summary>
    MeanSquared,
    /// <summary>The mean of the absolute differences.</summary>
    MeanAbsolute,
    /// <summary>Square near zero, absolute beyond (Huber).</summary>
    SmoothL1,
}

/// <summary>How weights are changed.</summary>
public sealed record OptimizationSettings
{
    /// <summary>sgd, muon and rmsprop: 0 to below 1. Default 0.9 for sgd, 0.95 for muon, 0 for rmsprop.</summary>
    public double? Momentum { get; init; }
    /// <summary>sgd: look ahead (Nesterov). Default false. muon always does.</summary>
    public bool Nesterov { get; init; }
    /// <summary>muon: after each change the weights of a layer are brought to the length that one unit per output has, in place of a decay; for layers that a normalisation follows. Default false.</summary>
    public bool NormalizeWeights { get; init; }
    /// <summary>adam and adamw: the decay of the mean, 0 to below 1. Default 0.9.</summary>
    public double? Beta1 { get; init; }
    /// <summary>adam and adamw: the decay of the square (default 0.999); rmsprop: its smoothing (default 0.99).</summary>
    public double? Beta2 { get; init; }
    /// <summary>adam, adamw, rmsprop: 1e-8; adagrad: 1e-10.</summary>
    public double? Epsilon { get; init; }
    /// <summary>What weights lose per step: added to the gradient (all but adamw), or taken from the weight itself (adamw, default 0.01). Default 0.</summary>
    public double? WeightDecay { get; init; }
    /// <summary>True: normalisation scales and biases decay, too. Default false.</summary>
    public bool DecayAll { get; init; }
    /// <summary>Gradients whose length over all weights is greater are shortened to this, above 0. Default: they are not.</summary>
    public double? ClipNorm { get; init; }
    /// <summary>Each number of a gradient is held within ± this, above 0. Default: it is not.</summary>
    public double? ClipValue { get; init; }
    /// <summary>Batches whose gradients are averaged for one change of the weights, 1 to 1,024. Default 1.</summary>
    public int Accumulate { get; init; } = 1;
    /// <summary>The decay of an exponential average of the weights, above 0 and below 1, such as 0.999; the average is what is validated and exported. Default: none.</summary>
    public double? AverageDecay { get; init; }
    /// <summary>Weights with settings of their own; the first group that a weight matches holds.</summary>
    public IReadOnlyList<WeightGroup>? Groups { get; init; }
}

/// <summary>Weights with settings of their own.</summary>
public sealed record WeightGroup
{
    /// <summary>Weights by name, <c>layer.weight</c>; <c>*</c> stands for any letters: <c>head.*</c>, <c>*.bias</c>.</summary>
    public required string Match { get; init; }
    /// <summary>Multiplies the step size; 0 leaves them as they are. Default 1.</summary>
    public double LearningRateScale { get; init; } = 1;
    /// <summary>sgd and muon: 0 to below 1. Default: that of the job.</summary>
    public double? Momentum { get; init; }
    /// <summary>Default: that of the job.</summary>
    public double? WeightDecay { get; init; }
}

/// <summary>How the step size changes over the steps.</summary>
public sealed record ScheduleSettings
{
    /// <summary>The rule. Default <c>constant</c>.</summary>
    public ScheduleKind Kind { get; init; }
    /// <summary>Steps at the beginning over which the step size grows from 0, before the rule. Default 0. Not with oneCycle, which has its own.</summary>
    public int WarmUpSteps { get; init; }
    /// <summary>step: epochs between two falls, at least 1. Default 1.</summary>
    public int? Every { get; init; }
    /// <summary>step, exponential (per epoch) and plateau: what the step size is multiplied by, above 0 and below 1. Default 0.1 for step and plateau, 0.95 for exponential.</summary>
    public double? Factor { get; init; }
    /// <summary>cosine, linear, plateau: the smallest step size as a share of the job's, 0 to 1. Default 0.</summary>
    public double Floor { get; init; }
    /// <summary>oneCycle: the share of steps in which it grows, above 0 and below 1. Default 0.3.</summary>
    public double Peak { get; init; } = 0.3;
    /// <summary>oneCycle: the first step size as a share of the job's, which is the peak. Default 0.04.</summary>
    public double Start { get; init; } = 0.04;
    /// <summary>plateau: epochs without a better validation loss before a fall. Default 3.</summary>
    public int Patience { get; init; } = 3;
}

/// <summary>Rules for the step size.</summary>
public enum ScheduleKind
{
    /// <summary>Always the same.</summary>
    Constant,
    /// <summary>Falls every few epochs.</summary>
    Step,
    /// <summary>Falls every epoch.</summary>
    Exponential,
    /// <summary>Half a cosine from the job's to the floor (arXiv 1608.03983 without restarts).</summary>
    Cosine,
    /// <summary>Up to the job's along a cosine, then down to nearly zero (arXiv 1708.07120).</summary>
    OneCycle,
    /// <summary>A line from the job's to the floor.</summary>
    Linear,
    /// <summary>Falls when the validation loss does not get better.</summary>
    Plateau,
}

/// <summary>When to stop early.</summary>
public sealed record StoppingSettings
{
    /// <summary>Epochs without a better <see cref="Metric"/> before the training ends. Default: all epochs are trained.</summary>
    public int? Patience { get; init; }
    /// <summary>By how much it has to be better. Default 0.</summary>
    public double LeastGain { get; init; }
    /// <summary>What is watched. Default <c>validationLoss</c>.</summary>
    public StoppingMetric Metric { get; init; }
    /// <summary>True: the weights of the best epoch are exported, not those of the last. Default: true with <see cref="Patience"/>, else false.</summary>
    public bool? RestoreBest { get; init; }
    /// <summary>Minutes of training after which the epoch in progress is cut short, above 0. Counted over interruptions. Default: none.</summary>
    public double? MaxMinutes { get; init; }
}

/// <summary>What early stopping watches.</summary>
public enum StoppingMetric
{
    /// <summary>The smaller the better.</summary>
    ValidationLoss,
    /// <summary>The greater the better.</summary>
    ValidationAccuracy,
}

/// <summary>When the state of a training is stored.</summary>
public sealed record CheckpointSettings
{
    /// <summary>Epochs between two, at least 1. Default 1.</summary>
    public int EveryEpochs { get; init; } = 1;
    /// <summary>Minutes between two within an epoch, above 0. Default 10.</summary>
    public double EveryMinutes { get; init; } = 10;
    /// <summary>How many are kept, 1 to 1,000; older ones are removed. Default 3.</summary>
    public int Keep { get; init; } = 3;
}
