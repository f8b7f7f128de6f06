namespace QueueMaaS.Contracts;

/// <summary>Figures of a model that gives any number of labels at once. A decision is one label of one item.</summary>
public sealed record MultiLabelFigures
{
    /// <summary>Share of the items whose labels are said exactly as they are true.</summary>
    public required double SubsetAccuracy { get; init; }
    /// <summary>Its interval.</summary>
    public required Interval SubsetAccuracyInterval { get; init; }
    /// <summary>Share of the decisions that are wrong.</summary>
    public required double HammingLoss { get; init; }
    /// <summary>Its interval.</summary>
    public required Interval HammingLossInterval { get; init; }
    /// <summary>Mean of −ln(probability of the truth) over the decisions, probabilities no smaller than 1e−15.</summary>
    public required double LogLoss { get; init; }
    /// <summary>Its interval.</summary>
    public required Interval LogLossInterval { get; init; }
    /// <summary>Share of the labels that were said that are right, over all decisions; 0 where none was said.</summary>
    public required double MicroPrecision { get; init; }
    /// <summary>Share of the true labels that were said, over all decisions; 0 where none is true.</summary>
    public required double MicroRecall { get; init; }
    /// <summary>Harmonic mean of the two; 0 where none is true or was said.</summary>
    public required double MicroF1 { get; init; }
    /// <summary>Its interval.</summary>
    public required Interval MicroF1Interval { get; init; }
    /// <summary>Mean precision over the labels that occur or are said; one that is never said counts 0.</summary>
    public required double MacroPrecision { get; init; }
    /// <summary>Mean recall over the same labels; one that does not occur counts 0.</summary>
    public required double MacroRecall { get; init; }
    /// <summary>Mean F1 over the same labels; 0 where there are none.</summary>
    public required double MacroF1 { get; init; }
    /// <summary>Its interval.</summary>
    public required Interval MacroF1Interval { get; init; }
    /// <summary>Mean area under the receiver operating characteristic over the labels that have one; left out where none has.</summary>
    public double? RocAuc { get; init; }
    /// <summary>The area over all decisions together; left out where all are alike, or there are more than 20,000,000.</summary>
    public double? MicroRocAuc { get; init; }
    /// <summary>Mean average precision over the labels that have one (mAP); left out where none has.</summary>
    public double? PrAuc { get; init; }
    /// <summary>Average precision over all decisions together; left out as <see cref="MicroRocAuc"/>.</summary>
    public double? MicroPrAuc { get; init; }
    /// <summary>Each label.</summary>
    public required IReadOnlyList<LabelFigures> Labels { get; init; }
    /// <summary>Whether probabilities mean what they say.</summary>
    public required LabelCalibration Calibration { get; init; }
    /// <summary>The macro F1 with every label's <see cref="LabelFigures.BestThreshold"/>. They were chosen on the same items, so it is at its best here.</summary>
    public required double BestMacroF1 { get; init; }
    /// <summary>The data that the best thresholds were chosen on: <c>name@version, split</c>.</summary>
    public required string ThresholdsChosenOn { get; init; }
}

/// <summary>Figures of a label.</summary>
/// <param name="Name">The label.</param>
/// <param name="Support">Items that have it.</param>
/// <param name="Predicted">Items that it was said of.</param>
/// <param name="Precision">Share of <paramref name="Predicted"/> that is right; left out where it was never said.</param>
/// <param name="Recall">Share of <paramref name="Support"/> that was found; left out where it does not occur.</param>
/// <param name="F1">Harmonic mean of the two; left out where it neither occurs nor was said.</param>
/// <param name="RocAuc">Left out where all items have it, or none.</param>
/// <param name="PrAuc">Average precision; left out where all items have it, or none.</param>
/// <param name="Ece">Expected calibration error of its probability, over 15 bins.</param>
/// <param name="Threshold">From which probability it was said.</param>
/// <param name="BestThreshold">The one that makes its F1 greatest on these items, in the middle between the last probability that is to be said and the next; left out where it does not occur.</param>
/// <param name="BestF1">The F1 with it.</param>
public sealed record LabelFigures(
    string Name, int Support, int Predicted, double? Precision, double? Recall, double? F1, double? RocAuc, double? PrAuc, double Ece, double Threshold, double? BestThreshold, double? BestF1);

/// <summary>Calibration of the probabilities of all decisions: of those with about the probability p, the share p should be true.</summary>
/// <param name="Ece">Expected calibration error over 15 bins of equal width of the probability.</param>
/// <param name="Bins">The bins. Their items are decisions, their confidence is the mean probability, their accuracy the share that is true.</param>
/// <param name="Temperature">What logits are to be divided by for the least log loss on these items, 0.05 to 20; one for all labels.</param>
/// <param name="EceAfter">The error with that temperature. It was fitted on the same items, so it is at its best here.</param>
/// <param name="LogLossAfter">The log loss with that temperature.</param>
public sealed record LabelCalibration(double Ece, IReadOnlyList<ReliabilityBin> Bins, double Temperature, double EceAfter, double LogLossAfter);
