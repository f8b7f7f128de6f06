namespace QueueMaaS.Contracts;

/// <summary>The input of an evaluation: how well a registered model answers the items of a data set whose truth is known.</summary>
public sealed record EvaluationInput
{
    /// <summary><c>name</c> (its <c>production</c> alias), <c>name@3</c> (a version) or <c>name@canary</c> (an alias).</summary>
    public required string Model { get; init; }
    /// <summary>Another model to compare it with on the same items. Default: none.</summary>
    public string? CompareWith { get; init; }
    /// <summary>The data set: <c>name</c> (its latest version) or <c>name@version</c>.</summary>
    public required string Dataset { get; init; }
    /// <summary><c>train</c>, <c>test</c>, <c>val</c> or <c>all</c>. Default: <c>test</c> where the data set has one, else <c>val</c>, else <c>all</c>.</summary>
    public string? Split { get; init; }
    /// <summary>By what the items are divided, up to 20: columns of a table; <c>brightness</c> and <c>size</c> of images. Default: both for images, none for others.</summary>
    public IReadOnlyList<string>? Slices { get; init; }
    /// <summary>Tables: the columns that feed a model without a pipeline, in the order of its input's numbers. Default: all but the truth, and where those are too many, all that are not in <see cref="Slices"/> either. With <see cref="CompareWith"/> they feed every one of the two that has no pipeline.</summary>
    public IReadOnlyList<string>? Columns { get; init; }
    /// <summary>Tables: the column with the truth; several labels stand between bars (<c>red|round</c>). Default: the one that the model was trained on, else <c>label</c>, <c>target</c>, <c>class</c> or <c>y</c>, else the last that the model does not read.</summary>
    public string? Target { get; init; }
    /// <summary>Tables, several labels: a column of 0 and 1 for each label, named like it. Default: those that the model was trained on, else, without <see cref="Target"/>, the columns that are named like the labels where every label has one.</summary>
    public IReadOnlyList<string>? Targets { get; init; }
    /// <summary>As what the model is evaluated. Default: as its pipeline says (<c>sigmoid</c> scores: several labels at once); without one, one number is a number and several are one label out of several. Several labels at once out of a model without a pipeline have to be said.</summary>
    public EvaluationTask? Task { get; init; }
    /// <summary>The labels of a model whose pipeline names none, in the order of its outputs. Default <c>0</c>, <c>1</c>, …</summary>
    public IReadOnlyList<string>? Labels { get; init; }
    /// <summary>Several labels: from which probability a label is said, 0 to 1. Default: that of the model's pipeline, else 0.5.</summary>
    public double? Threshold { get; init; }
    /// <summary>Several labels: the same for single labels, by their names.</summary>
    public IReadOnlyDictionary<string, double>? Thresholds { get; init; }
    /// <summary>Seeds the bootstrap. Default 1.</summary>
    public int Seed { get; init; } = 1;
    /// <summary>Resamples of the bootstrap, 100 to 10,000. Default 1,000.</summary>
    public int Bootstrap { get; init; } = 1000;
}

/// <summary>What a model was evaluated as.</summary>
public enum EvaluationTask
{
    /// <summary>One label out of several.</summary>
    Classification,
    /// <summary>One number.</summary>
    Regression,
    /// <summary>Any number of labels at once, each with a probability of its own.</summary>
    MultiLabel,
}

/// <summary>How far an evaluation is.</summary>
/// <param name="Done">Items computed, over all models.</param>
/// <param name="Total">Items to compute, over all models.</param>
public sealed record EvaluationProgress(long Done, long Total);

/// <summary>The result of an evaluation.</summary>
public sealed record EvaluationOutput
{
    /// <summary>As what the model was evaluated.</summary>
    public required EvaluationTask Task { get; init; }
    /// <summary>Items that the figures are over: those that every model answered.</summary>
    public required int Items { get; init; }
    /// <summary>Items that could not be read or computed; they are in no figure.</summary>
    public required int Failed { get; init; }
    /// <summary>Of these, the items that the data set can give to no model: a damaged image, a row without its truth.</summary>
    public int Unreadable { get; init; }
    /// <summary>Why the first of them failed.</summary>
    public Problem? FirstError { get; init; }
    /// <summary>The data set.</summary>
    public required EvaluatedData Dataset { get; init; }
    /// <summary>The model's figures.</summary>
    public required ModelEvaluation Model { get; init; }
    /// <summary>The other model's figures.</summary>
    public ModelEvaluation? Compared { get; init; }
    /// <summary>Whether the two differ.</summary>
    public ModelComparison? Comparison { get; init; }
    /// <summary>Slices that no item fell into, as <c>column: slice</c>; their figures are left out.</summary>
    public required IReadOnlyList<string> EmptySlices { get; init; }
    /// <summary>What a reader of the figures ought to know.</summary>
    public required IReadOnlyList<string> Notes { get; init; }
    /// <summary>The seed of the bootstrap.</summary>
    public required int Seed { get; init; }
    /// <summary>Resamples of the bootstrap.</summary>
    public required int Bootstrap { get; init; }
    /// <summary>The page with everything, an HTML file, <c>sha256:…</c>; <c>GET /v1/jobs/{id}/report</c> shows it.</summary>
    public string? ReportArtifact { get; init; }
}

/// <summary>The data of an evaluation.</summary>
/// <param name="Name"><c>name@version</c>.</param>
/// <param name="Artifact">Its content, <c>sha256:…</c>.</param>
/// <param name="Split">The split.</param>
/// <param name="Target">Tables: the column with the truth, or the columns, with commas.</param>
public sealed record EvaluatedData(string Name, string Artifact, string Split, string? Target);

/// <summary>A model version's figures. One of <see cref="Classification"/>, <see cref="MultiLabel"/> and <see cref="Regression"/> is given.</summary>
public sealed record ModelEvaluation
{
    /// <summary><c>name@version</c>.</summary>
    public required string Name { get; init; }
    /// <summary>Its file, <c>sha256:…</c>.</summary>
    public required string Artifact { get; init; }
    /// <summary>The training job that made it, where one did.</summary>
    public string? TrainedBy { get; init; }
    /// <summary>The data set that it was trained on, where its card says so.</summary>
    public string? TrainedOn { get; init; }
    /// <summary>Items that the model could not compute: it refuses them, fails, or gives NaN. They are in no figure, and not in those of the model that it is compared with.</summary>
    public int Uncomputed { get; init; }
    /// <summary>Why it could not compute the first of them.</summary>
    public Problem? FirstUncomputed { get; init; }
    /// <summary>How it was trained, where a training job made it that still exists.</summary>
    public EvaluatedTraining? Training { get; init; }
    /// <summary>Figures of labels.</summary>
    public ClassificationFigures? Classification { get; init; }
    /// <summary>Figures of several labels at once.</summary>
    public MultiLabelFigures? MultiLabel { get; init; }
    /// <summary>Figures of numbers.</summary>
    public RegressionFigures? Regression { get; init; }
    /// <summary>Figures by slice.</summary>
    public required IReadOnlyList<SliceFigures> Slices { get; init; }
    /// <summary>The worst mistakes, the worst first, up to 20: labels by how unlikely the truth was to the model, numbers by their distance.</summary>
    public required IReadOnlyList<Mistake> Worst { get; init; }
}

/// <summary>How an evaluated model was trained.</summary>
/// <param name="Job">The training job.</param>
/// <param name="Recipe">Its recipe, <c>name@version</c>, where it named one.</param>
/// <param name="Settings">What the job said, as <see cref="ModelCard.Parameters"/>.</param>
/// <param name="Epoch">The epoch whose weights the model has.</param>
/// <param name="History">Every epoch.</param>
public sealed record EvaluatedTraining(string Job, string? Recipe, System.Text.Json.JsonElement? Settings, int? Epoch, IReadOnlyList<EpochMetrics> History);

/// <summary>A figure's 95 % interval: the 2.5 % and 97.5 % quantiles over the bootstrap's resamples of the items (Efron and Tibshirani, An Introduction to the Bootstrap, 1993).</summary>
/// <param name="Low">Its lower end.</param>
/// <param name="High">Its upper end.</param>
public sealed record Interval(double Low, double High);

/// <summary>Figures of a classification.</summary>
public sealed record ClassificationFigures
{
    /// <summary>Share of the items whose likeliest label is the true one.</summary>
    public required double Accuracy { get; init; }
    /// <summary>Its interval.</summary>
    public required Interval AccuracyInterval { get; init; }
    /// <summary>Share of the items whose true label is among the five likeliest; left out for five labels or fewer.</summary>
    public double? Top5Accuracy { get; init; }
    /// <summary>Mean of −ln(probability of the true label), probabilities no smaller than 1e−15.</summary>
    public required double LogLoss { get; init; }
    /// <summary>Its interval.</summary>
    public required Interval LogLossInterval { get; init; }
    /// <summary>Mean precision over the classes that occur or are predicted; one without predictions counts 0.</summary>
    public required double MacroPrecision { get; init; }
    /// <summary>Mean recall over the same classes; one that does not occur counts 0.</summary>
    public required double MacroRecall { get; init; }
    /// <summary>Mean F1 over the same classes.</summary>
    public required double MacroF1 { get; init; }
    /// <summary>Its interval.</summary>
    public required Interval MacroF1Interval { get; init; }
    /// <summary>Area under the receiver operating characteristic: of two labels that of the second; of more the mean over each against the rest. Left out where no class has items on both sides.</summary>
    public double? RocAuc { get; init; }
    /// <summary>Area under precision over recall (average precision), taken together as <see cref="RocAuc"/>.</summary>
    public double? PrAuc { get; init; }
    /// <summary>Each class.</summary>
    public required IReadOnlyList<ClassFigures> Classes { get; init; }
    /// <summary>Counts by true class (row) and predicted class (column), in the order of <see cref="Classes"/>.</summary>
    public required IReadOnlyList<IReadOnlyList<int>> Confusion { get; init; }
    /// <summary>Whether probabilities mean what they say.</summary>
    public required CalibrationFigures Calibration { get; init; }
}

/// <summary>Figures of a class.</summary>
/// <param name="Name">The label.</param>
/// <param name="Support">Items whose truth it is.</param>
/// <param name="Predicted">Items that it was said of.</param>
/// <param name="Precision">Share of <paramref name="Predicted"/> that is right; left out where it was never said.</param>
/// <param name="Recall">Share of <paramref name="Support"/> that was found; left out where it does not occur.</param>
/// <param name="F1">Harmonic mean of the two; left out where it neither occurs nor was said.</param>
/// <param name="RocAuc">Against the rest; left out where one side has no items.</param>
/// <param name="PrAuc">Average precision against the rest; left out where one side has no items.</param>
public sealed record ClassFigures(string Name, int Support, int Predicted, double? Precision, double? Recall, double? F1, double? RocAuc, double? PrAuc);

/// <summary>Calibration (Guo and others, On Calibration of Modern Neural Networks, arXiv 1706.04599).</summary>
/// <param name="Ece">Expected calibration error over 15 bins of equal width of the likeliest label's probability.</param>
/// <param name="Bins">The bins.</param>
/// <param name="Temperature">What logits are to be divided by for the least log loss on these items, 0.05 to 20.</param>
/// <param name="EceAfter">The error with that temperature. It was fitted on the same items, so it is at its best here.</param>
/// <param name="LogLossAfter">The log loss with that temperature.</param>
public sealed record CalibrationFigures(double Ece, IReadOnlyList<ReliabilityBin> Bins, double Temperature, double EceAfter, double LogLossAfter);

/// <summary>Items whose likeliest label's probability lies above <paramref name="From"/> and up to <paramref name="To"/>.</summary>
/// <param name="From">Not part of the bin.</param>
/// <param name="To">Part of the bin.</param>
/// <param name="Items">How many.</param>
/// <param name="Confidence">Their mean probability; left out where there are none.</param>
/// <param name="Accuracy">The share that is right; left out where there are none.</param>
public sealed record ReliabilityBin(double From, double To, int Items, double? Confidence, double? Accuracy);

/// <summary>Figures of a regression, in the target's units.</summary>
public sealed record RegressionFigures
{
    /// <summary>Mean absolute error.</summary>
    public required double Mae { get; init; }
    /// <summary>Its interval.</summary>
    public required Interval MaeInterval { get; init; }
    /// <summary>Root of the mean squared error.</summary>
    public required double Rmse { get; init; }
    /// <summary>Its interval.</summary>
    public required Interval RmseInterval { get; init; }
    /// <summary>Share of the variance that is explained; left out where all truths are equal.</summary>
    public double? R2 { get; init; }
    /// <summary>Mean of prediction − truth.</summary>
    public required double Bias { get; init; }
    /// <summary>Quantiles of prediction − truth.</summary>
    public required IReadOnlyList<ResidualQuantile> Residuals { get; init; }
}

/// <summary>A quantile of the residuals, linear between ranks.</summary>
/// <param name="Share">0 to 1.</param>
/// <param name="Residual">Prediction − truth.</param>
public sealed record ResidualQuantile(double Share, double Residual);

/// <summary>Figures of the items of a slice.</summary>
/// <param name="Column">What they are divided by.</param>
/// <param name="Slice">The category, or the bounds of a quarter of the numbers.</param>
/// <param name="Items">How many; where there are none, the slice has no figures.</param>
/// <param name="Accuracy">Classification.</param>
/// <param name="LogLoss">Classification, and several labels.</param>
/// <param name="Mae">Regression.</param>
/// <param name="Rmse">Regression.</param>
public sealed record SliceFigures(string Column, string Slice, int Items, double? Accuracy, double? LogLoss, double? Mae, double? Rmse)
{
    /// <summary>Several labels.</summary>
    public double? SubsetAccuracy { get; init; }
    /// <summary>Several labels: over those that occur or are said in the slice.</summary>
    public double? MacroF1 { get; init; }
    /// <summary>Several labels.</summary>
    public double? HammingLoss { get; init; }
}

/// <summary>An item that the model got wrong.</summary>
public sealed record Mistake
{
    /// <summary>Its place in the split, from 1.</summary>
    public required int Item { get; init; }
    /// <summary>Images: its name in the archive.</summary>
    public string? Name { get; init; }
    /// <summary>The truth; several labels with bars between them, none as an empty text.</summary>
    public required string Truth { get; init; }
    /// <summary>The model's answer, likewise.</summary>
    public required string Answer { get; init; }
    /// <summary>Several labels: the one that the model was most wrong about.</summary>
    public string? Label { get; init; }
    /// <summary>Classification: the probability of the answer; several labels: of <see cref="Label"/>.</summary>
    public double? Confidence { get; init; }
    /// <summary>Classification: the probability of the truth.</summary>
    public double? TruthProbability { get; init; }
    /// <summary>Tables: its first columns.</summary>
    public IReadOnlyDictionary<string, string>? Row { get; init; }
}

/// <summary>Whether two models differ on the same items.</summary>
public sealed record ModelComparison
{
    /// <summary><c>mcnemarExact</c> (fewer than 25 items that one model alone got right), <c>mcnemar</c> (chi-square with Edwards' continuity correction) or <c>pairedBootstrap</c> (of absolute errors; of several labels, of the macro F1).</summary>
    public required string Test { get; init; }
    /// <summary>The probability of such a difference where there is none.</summary>
    public required double PValue { get; init; }
    /// <summary>Classification: items that the model alone got right.</summary>
    public int? OnlyModel { get; init; }
    /// <summary>Classification: items that the other model alone got right.</summary>
    public int? OnlyCompared { get; init; }
    /// <summary>Chi-square, where the test has it.</summary>
    public double? Statistic { get; init; }
    /// <summary>Accuracy of the model − that of the other; for numbers its mean absolute error − that of the other; for several labels its macro F1 − that of the other.</summary>
    public required double Difference { get; init; }
    /// <summary>The difference's interval, the same items drawn for both.</summary>
    public required Interval DifferenceInterval { get; init; }
    /// <summary>Whether the difference is real at the 5 % level.</summary>
    public required bool Significant { get; init; }
    /// <summary>Several labels: the same of the subset accuracy.</summary>
    public FigureDifference? SubsetAccuracy { get; init; }
    /// <summary>The same in a sentence.</summary>
    public required string Sentence { get; init; }
}

/// <summary>By how much a figure of two models differs.</summary>
/// <param name="Difference">That of the model − that of the other.</param>
/// <param name="Interval">Its interval, the same items drawn for both.</param>
/// <param name="PValue">The probability of such a difference where there is none.</param>
/// <param name="Significant">Whether it is real at the 5 % level.</param>
public sealed record FigureDifference(double Difference, Interval Interval, double PValue, bool Significant);
