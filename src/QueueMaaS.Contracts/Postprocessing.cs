namespace QueueMaaS.Contracts;

/// <summary>How outputs become answers. Each part names the output that it reads, so that a model with several heads can have several.</summary>
public sealed record Postprocessing
{
    /// <summary>Labels with scores. Default where the pipeline has labels and none of the other parts is given.</summary>
    public LabelAnswer? Labels { get; init; }
    /// <summary>Objects with boxes.</summary>
    public DetectionAnswer? Detections { get; init; }
    /// <summary>The numbers of a regression.</summary>
    public ValueAnswer? Values { get; init; }
    /// <summary>Embeddings.</summary>
    public EmbeddingAnswer? Embeddings { get; init; }
}

/// <summary>How an output becomes labels with scores.</summary>
public sealed record LabelAnswer
{
    /// <summary>The output with one number per label on its last axis. Default: the first.</summary>
    public string? Output { get; init; }
    /// <summary>How its numbers become scores. Default <see cref="ScoreFunction.Softmax"/>; <see cref="ScoreFunction.Sigmoid"/> for several labels at once.</summary>
    public ScoreFunction Scores { get; init; }
    /// <summary>Labels with a lower score are left out. Default: none is.</summary>
    public double? Threshold { get; init; }
    /// <summary>How many labels to give where the request does not say, 1 to 100. Default 3; with a <see cref="Threshold"/> 100.</summary>
    public int? TopK { get; init; }
}

/// <summary>How numbers become scores.</summary>
public enum ScoreFunction
{
    /// <summary>Probabilities of which one is true: they add up to 1.</summary>
    Softmax,
    /// <summary>Probabilities each by itself.</summary>
    Sigmoid,
    /// <summary>The numbers as they are.</summary>
    None,
}

/// <summary>How an output becomes the numbers of a regression: <c>value × scale + offset</c>.</summary>
public sealed record ValueAnswer
{
    /// <summary>The output. Default: the first.</summary>
    public string? Output { get; init; }
    /// <summary>Default 1. For a target that was standardised: its standard deviation.</summary>
    public double? Scale { get; init; }
    /// <summary>Default 0. For a target that was standardised: its mean.</summary>
    public double? Offset { get; init; }
    /// <summary>Then take <c>exp(value) − 1</c>, for a target whose logarithm of 1 + value was learnt. Default false.</summary>
    public bool Expm1 { get; init; }
}

/// <summary>How an output [N, size] becomes embeddings.</summary>
public sealed record EmbeddingAnswer
{
    /// <summary>The output. Default: the first.</summary>
    public string? Output { get; init; }
    /// <summary>Divide each by its length (L2), so that a dot product is the cosine. Default false.</summary>
    public bool Normalise { get; init; }
}

/// <summary>How outputs become objects with boxes: threshold, non-maximum suppression, back to the pixels of the image that came.</summary>
public sealed record DetectionAnswer
{
    /// <summary>How the outputs are laid out. Default <see cref="DetectionLayout.Separate"/>.</summary>
    public DetectionLayout Layout { get; init; }
    /// <summary>The output with the boxes, or with everything where the layout is one of a single output. Default: the first.</summary>
    public string? Boxes { get; init; }
    /// <summary>Separate: the output with the scores, [N, M, classes] or, with <see cref="Classes"/>, [N, M].</summary>
    public string? Scores { get; init; }
    /// <summary>Separate: the output [N, M] with each box's class index.</summary>
    public string? Classes { get; init; }
    /// <summary>How four numbers are a box. Default <see cref="BoxFormat.Xyxy"/> where boxes have an output of their own, <see cref="BoxFormat.Cxcywh"/> where one output has everything, as YOLO's exports do.</summary>
    public BoxFormat? Format { get; init; }
    /// <summary>True: coordinates are from 0 to 1 of the model's input. False: in its pixels. Default false.</summary>
    public bool Normalised { get; init; }
    /// <summary>Single output: the fifth number says how likely there is an object at all, and multiplies the class scores (YOLOv5). Default false (YOLOv8).</summary>
    public bool Objectness { get; init; }
    /// <summary>How the numbers become scores. Default <see cref="ScoreFunction.None"/>: exported detectors have done it.</summary>
    public ScoreFunction Function { get; init; } = ScoreFunction.None;
    /// <summary>Objects with a lower score are left out, 0 to 1. Default 0.25.</summary>
    public double ScoreThreshold { get; init; } = 0.25;
    /// <summary>Of two boxes that overlap by more than this (intersection over union), the one with the lower score is left out, 0 to 1. Default 0.45.</summary>
    public double IouThreshold { get; init; } = 0.45;
    /// <summary>Between which boxes overlaps count. Default <see cref="SuppressionMode.PerClass"/>.</summary>
    public SuppressionMode Suppression { get; init; }
    /// <summary>Most objects per image, 1 to 10,000. Default 100.</summary>
    public int MaxDetections { get; init; } = 100;
}

/// <summary>How a detector's outputs are laid out.</summary>
public enum DetectionLayout
{
    /// <summary>Boxes [N, M, 4] and scores in outputs of their own.</summary>
    Separate,
    /// <summary>One output [N, 4 + classes, M] (YOLOv8).</summary>
    FieldsFirst,
    /// <summary>One output [N, M, 4 + classes] or, with objectness, [N, M, 5 + classes] (YOLOv5).</summary>
    BoxesFirst,
}

/// <summary>How four numbers are a box.</summary>
public enum BoxFormat
{
    /// <summary>Left, upper, right and lower edge.</summary>
    Xyxy,
    /// <summary>Centre, width and height.</summary>
    Cxcywh,
    /// <summary>Left and upper edge, width and height.</summary>
    Xywh,
    /// <summary>Upper, left, lower and right edge.</summary>
    Yxyx,
}

/// <summary>Between which boxes overlaps count.</summary>
public enum SuppressionMode
{
    /// <summary>Boxes of the same class.</summary>
    PerClass,
    /// <summary>All boxes.</summary>
    Agnostic,
    /// <summary>None: the model has done it.</summary>
    None,
}
