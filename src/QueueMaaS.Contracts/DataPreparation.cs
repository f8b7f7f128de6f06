namespace QueueMaaS.Contracts;

/// <summary>How a data set becomes training items. What serving must do, too, is fitted on the training split and stored in the model's pipeline.</summary>
public sealed record DataPreparation
{
    /// <summary>Tables, arrays and texts: the column to learn. Default: <c>label</c>, <c>target</c>, <c>class</c> or <c>y</c>, else the last column of a table.</summary>
    public string? Target { get; init; }
    /// <summary>Regression on several numbers: the columns to learn. Takes the place of <see cref="Target"/>.</summary>
    public IReadOnlyList<string>? Targets { get; init; }
    /// <summary>Texts: the column with the text. Default: <c>text</c>, <c>sentence</c>, <c>review</c> or <c>content</c>.</summary>
    public string? Text { get; init; }
    /// <summary>Tables: columns that are left out.</summary>
    public IReadOnlyList<string>? Ignore { get; init; }
    /// <summary>Tables: what is done with columns, by name; <c>*</c> stands for all others.</summary>
    public IReadOnlyDictionary<string, ColumnPreparation>? Columns { get; init; }
    /// <summary>True: of items with the same content one is kept. Default false.</summary>
    public bool RemoveDuplicates { get; init; }
    /// <summary>How the items are split into those trained on and those validated on.</summary>
    public SplitSettings? Split { get; init; }
    /// <summary>Images: size and normalisation.</summary>
    public ImageSettings? Image { get; init; }
    /// <summary>Texts: tokens.</summary>
    public TokenSettings? Tokens { get; init; }
    /// <summary>How training items are varied from epoch to epoch. Never applied to validation.</summary>
    public AugmentationSettings? Augmentation { get; init; }
    /// <summary>What is done about classes of different size.</summary>
    public BalanceMode Balance { get; init; }
}

/// <summary>What is done with a table's column.</summary>
public sealed record ColumnPreparation
{
    /// <summary>What its values are. Default: found out from them.</summary>
    public ColumnKind? Kind { get; init; }
    /// <summary>What stands in for a missing value. Default <c>median</c> for numbers, <c>mostFrequent</c> for others.</summary>
    public MissingValue? Missing { get; init; }
    /// <summary>Numbers: how they are scaled. Default <c>standardise</c>.</summary>
    public NumberScaling? Scaling { get; init; }
    /// <summary>Numbers: values beyond this quantile (and below 1 − it) are moved to it, above 0.5 and below 1. Default: they are not.</summary>
    public double? ClipQuantile { get; init; }
    /// <summary>Categories: how they become numbers. Default <c>oneHot</c>.</summary>
    public CategoryEncoding? Encoding { get; init; }
}

/// <summary>What stands in for a missing value; found on the training split.</summary>
public enum MissingValue
{
    /// <summary>The middle one.</summary>
    Median,
    /// <summary>The mean.</summary>
    Mean,
    /// <summary>The one seen most often.</summary>
    MostFrequent,
    /// <summary>0, or for categories the empty text.</summary>
    Zero,
    /// <summary>Nothing: an item without it is left out of the training, and refused in serving.</summary>
    Refuse,
}

/// <summary>How numbers are scaled; found on the training split.</summary>
public enum NumberScaling
{
    /// <summary>(value − mean) ÷ standard deviation.</summary>
    Standardise,
    /// <summary>(value − least) ÷ (greatest − least).</summary>
    MinMax,
    /// <summary>(value − median) ÷ (third quartile − first quartile).</summary>
    Robust,
    /// <summary>As it is.</summary>
    None,
}

/// <summary>How items are split.</summary>
public sealed record SplitSettings
{
    /// <summary>The rule. Default: the data set's own <c>val</c> or else <c>test</c> split where it has one, else <c>stratified</c>.</summary>
    public SplitKind? Kind { get; init; }
    /// <summary>group and time: the column; file: the column whose value is <c>train</c>, <c>val</c> or <c>test</c>.</summary>
    public string? Column { get; init; }
    /// <summary>What is done when the same content is in both parts. Default <c>remove</c> for images and texts; <c>keep</c> for tables and arrays, where equal rows may be different things.</summary>
    public LeakAction? Leak { get; init; }
}

/// <summary>Rules for splitting.</summary>
public enum SplitKind
{
    /// <summary>The data set's own splits.</summary>
    Own,
    /// <summary>The same share of every class, at random.</summary>
    Stratified,
    /// <summary>At random.</summary>
    Random,
    /// <summary>Items with the same value of a column stay together.</summary>
    Group,
    /// <summary>The latest items by a column are validated on.</summary>
    Time,
    /// <summary>A column says it.</summary>
    File,
}

/// <summary>What is done about content that is in both parts.</summary>
public enum LeakAction
{
    /// <summary>It is taken out of the training part.</summary>
    Remove,
    /// <summary>The job fails.</summary>
    Fail,
    /// <summary>It is counted.</summary>
    Keep,
}

/// <summary>Images.</summary>
public sealed record ImageSettings
{
    /// <summary>Pixels. Default: the usual size of the data set's images, that of most of up to 200 spread over it.</summary>
    public int? Width { get; init; }
    /// <summary>Pixels. Default: the usual size of the data set's images, that of most of up to 200 spread over it.</summary>
    public int? Height { get; init; }
    /// <summary>3 or 1. Default: what most of the images are.</summary>
    public int? Channels { get; init; }
    /// <summary>True: subtract the training images' mean of each channel and divide by their standard deviation. Default false: pixels from 0 to 1.</summary>
    public bool Normalise { get; init; }
}

/// <summary>Tokens of texts.</summary>
public sealed record TokenSettings
{
    /// <summary>Most tokens in the vocabulary, 100 to 1,000,000. Default 20,000.</summary>
    public int Vocabulary { get; init; } = 20_000;
    /// <summary>Words seen less often than this are split into pieces. Default 2.</summary>
    public int LeastCount { get; init; } = 2;
    /// <summary>Tokens of a text; longer texts lose their end, shorter ones are filled up, 1 to 4,096. Default 128.</summary>
    public int Length { get; init; } = 128;
    /// <summary>Lower-case texts and strip accents. Default true.</summary>
    public bool LowerCase { get; init; } = true;
}

/// <summary>How images (and, for mixup and noise, rows) are varied while training.</summary>
public sealed record AugmentationSettings
{
    /// <summary>Mirror left and right. Default <c>none</c>.</summary>
    public FlipMode Flip { get; init; }
    /// <summary>Move by up to so many pixels in each direction, edges reflected (crop with padding). Default 0.</summary>
    public int Crop { get; init; }
    /// <summary>Turn by up to so many degrees either way, 0 to 180. Default 0.</summary>
    public double Rotation { get; init; }
    /// <summary>Change brightness by up to this share either way, 0 to 1. Default 0.</summary>
    public double Brightness { get; init; }
    /// <summary>Change contrast by up to this share either way, 0 to 1. Default 0.</summary>
    public double Contrast { get; init; }
    /// <summary>Change saturation by up to this share either way, 0 to 1. Default 0.</summary>
    public double Saturation { get; init; }
    /// <summary>Blank a square of so many pixels (arXiv 1708.04552). Default 0.</summary>
    public int Cutout { get; init; }
    /// <summary>Mix pairs of items and their targets by a share drawn from Beta(this, this) (arXiv 1710.09412). Default 0: off.</summary>
    public double Mixup { get; init; }
    /// <summary>Paste a rectangle of one image into another and mix their targets; its area is drawn from Beta(this, this) (arXiv 1905.04899). Default 0: off.</summary>
    public double CutMix { get; init; }
    /// <summary>Add normal noise of this deviation to the prepared numbers. Default 0.</summary>
    public double Noise { get; init; }
}

/// <summary>How images are mirrored.</summary>
public enum FlipMode
{
    /// <summary>Not at all.</summary>
    None,
    /// <summary>Half of the time, at random.</summary>
    Random,
    /// <summary>Every other epoch, which epoch being random for each image: none is seen twice the same way in two epochs (arXiv 2404.00498).</summary>
    Alternating,
}

/// <summary>What is done about classes of different size.</summary>
public enum BalanceMode
{
    /// <summary>Nothing.</summary>
    None,
    /// <summary>Every class is drawn equally often; items of small classes come several times in an epoch.</summary>
    Sample,
    /// <summary>Tables: new rows of small classes between neighbours (SMOTE, arXiv 1106.1813).</summary>
    Smote,
}
