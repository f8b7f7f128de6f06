using QueueMaaS.Contracts;

namespace QueueMaaS.Training.Feeding;

/// <summary>What is to come out of a model, item by item.</summary>
public sealed record ExampleTargets
{
    private ExampleTargets(TrainingTask task, int outputs)
    {
        Task = task;
        Outputs = outputs;
    }

    /// <summary>What is learned.</summary>
    public TrainingTask Task { get; }

    /// <summary>Outputs of the model.</summary>
    public int Outputs { get; }

    /// <summary>Classification: the class of each item.</summary>
    public int[]? Classes { get; private init; }

    /// <summary>Multi-label and regression: <see cref="Outputs"/> numbers for each item.</summary>
    public float[]? Rows { get; private init; }

    /// <summary>The names of classes, labels or columns.</summary>
    public IReadOnlyList<string> Names { get; private init; } = [];

    /// <summary>Regression: the target's mean, which training sees as 0.</summary>
    public double Mean { get; private init; }

    /// <summary>Regression: the target's standard deviation, which training sees as 1.</summary>
    public double Deviation { get; private init; } = 1;

    /// <summary>One class for each item.</summary>
    public static ExampleTargets OfClasses(int[] classes, IReadOnlyList<string> names)
    {
        ArgumentNullException.ThrowIfNull(names);
        return new(TrainingTask.Classification, names.Count) { Classes = classes, Names = names };
    }

    /// <summary>A 0 or 1 for each label and item.</summary>
    public static ExampleTargets OfLabels(float[] rows, IReadOnlyList<string> names)
    {
        ArgumentNullException.ThrowIfNull(names);
        return new(TrainingTask.MultiLabel, names.Count) { Rows = rows, Names = names };
    }

    /// <summary>Numbers, already brought to the given mean and deviation.</summary>
    public static ExampleTargets OfNumbers(float[] rows, IReadOnlyList<string> names, double mean = 0, double deviation = 1)
    {
        ArgumentNullException.ThrowIfNull(names);
        return new(TrainingTask.Regression, names.Count) { Rows = rows, Names = names, Mean = mean, Deviation = deviation };
    }

    /// <summary>The inputs themselves.</summary>
    public static ExampleTargets OfInputs(int width) => new(TrainingTask.Autoencoding, width);
}

/// <summary>Which items are trained on and which are kept apart.</summary>
/// <param name="Train">Indexes of the training items.</param>
/// <param name="Validation">Indexes of the validation items, in mixed order: the first ones also serve the export check.</param>
public sealed record DataSplit(int[] Train, int[] Validation);

/// <summary>Everything that a trainer reads.</summary>
public sealed record ExampleSet
{
    /// <summary>What goes in.</summary>
    public required ExampleInputs Inputs { get; init; }
    /// <summary>What is to come out.</summary>
    public required ExampleTargets Targets { get; init; }
    /// <summary>Which are trained on.</summary>
    public required DataSplit Split { get; init; }
    /// <summary>Texts: how many tokens there are.</summary>
    public int? Tokens { get; init; }
}
