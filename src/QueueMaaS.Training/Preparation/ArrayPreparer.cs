using QueueMaaS.Contracts;
using QueueMaaS.Data.Arrays;
using QueueMaaS.Training.Feeding;
using QueueMaaS.Training.Running;
using QueueMaaS.Training.Specification;

namespace QueueMaaS.Training.Preparation;

/// <summary>Makes training items of arrays as they are; requests send tensors.</summary>
internal static class ArrayPreparer
{
    public static PreparedData Prepare(ArrayData data, TrainingSettings settings)
    {
        var (inputs, targets, shape) = Parts(data, settings);
        var width = (int)shape.Count;
        var count = inputs.Length / Math.Max(1, width);
        var task = settings.Task ?? (targets is { Whole: true, Shape.Count: 1 } ? TrainingTask.Classification : TrainingTask.Regression);
        var classes = task == TrainingTask.Classification ? Classes(targets!.Values) : ((int[] Labels, string[] Names)?)null;
        var (split, report) = ItemSplit.Of(
            new()
            {
                Count = count,
                Own = [.. Enumerable.Repeat("train", count)],
                Classes = classes?.Labels,
                Leak = LeakAction.Keep,
                Content = i => ContentHash.Of(inputs.AsSpan(i * width, width)),
            },
            settings.Data.Split is { Kind: SplitKind.Group or SplitKind.Time or SplitKind.File }
                ? throw new ProblemException(ProblemCodes.InvalidValue, "A split by a column needs a table; arrays have no columns.", ("field", "data.split.kind"))
                : settings);
        var examples = task switch
        {
            TrainingTask.Autoencoding => ExampleTargets.OfInputs(width),
            TrainingTask.Classification => ExampleTargets.OfClasses(classes!.Value.Labels, classes.Value.Names),
            TrainingTask.MultiLabel => ExampleTargets.OfLabels(targets!.Values, Numbered(targets)),
            _ => Numbers(targets!, split.Train),
        };
        return new()
        {
            Examples = new() { Inputs = new NumberInputs(inputs, shape), Targets = examples, Split = split },
            Pipeline = TableRows.Answers(new(), examples),
            DefaultPreset = "mlp",
            Corrupt = new(0, 0, []),
            Report = report,
        };
    }

    private static (float[] Inputs, NumpyArray? Targets, TensorShape Shape) Parts(ArrayData data, TrainingSettings settings)
    {
        var shape = data.Inputs.Shape;
        if (shape.Count is < 2 or > 4)
            throw new ProblemException(ProblemCodes.SpecificationInvalid, $"The inputs have the shape [{string.Join(", ", shape)}]; two to four axes are needed, the first for the items.", ("shape", shape));
        if (data.Targets is not null || settings.Task == TrainingTask.Autoencoding)
            return (data.Inputs.Values, data.Targets, new([.. shape.Skip(1)]));
        if (shape.Count != 2 || shape[1] < 2)
            throw new ProblemException(ProblemCodes.ColumnNotFound, "The array holds no targets. Save numpy.savez('data.npz', x=…, y=…), or a table whose last column is the target.");
        var (rows, columns) = (shape[0], shape[1]);
        var (inputs, last) = (new float[rows * (columns - 1)], new float[rows]);
        for (var r = 0; r < rows; r++)
        {
            data.Inputs.Values.AsSpan(r * columns, columns - 1).CopyTo(inputs.AsSpan(r * (columns - 1)));
            last[r] = data.Inputs.Values[r * columns + columns - 1];
        }

        return (inputs, new([rows], last, last.All(v => v == Math.Floor(v)) && last.Distinct().Count() <= 100), TensorShape.Row(columns - 1));
    }

    private static (int[] Labels, string[] Names) Classes(float[] values)
    {
        float[] known = [.. values.Distinct().Order()];
        var index = known.Index().ToDictionary(k => k.Item, k => k.Index);
        return ([.. values.Select(v => index[v])], [.. known.Select(k => $"{k}")]);
    }

    private static string[] Numbered(NumpyArray targets) => [.. Enumerable.Range(0, targets.Shape.Count == 1 ? 1 : targets.Shape[1]).Select(i => $"{i}")];

    private static ExampleTargets Numbers(NumpyArray targets, int[] train)
    {
        var names = Numbered(targets);
        var fitted = train.SelectMany(r => Enumerable.Range(0, names.Length).Select(c => (double)targets.Values[r * names.Length + c])).ToArray();
        var mean = fitted.Average();
        var deviation = Math.Sqrt(fitted.Average(v => (v - mean) * (v - mean))) is var d && d > 0 ? d : 1;
        return ExampleTargets.OfNumbers([.. targets.Values.Select(v => (float)((v - mean) / deviation))], names, mean, deviation);
    }
}
