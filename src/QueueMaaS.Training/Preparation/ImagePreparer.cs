using QueueMaaS.Contracts;
using QueueMaaS.Data.Loading;
using QueueMaaS.Training.Feeding;
using QueueMaaS.Training.Running;
using QueueMaaS.Training.Specification;

namespace QueueMaaS.Training.Preparation;

/// <summary>Makes training items of decoded images.</summary>
internal static class ImagePreparer
{
    public static PreparedData Prepare(LabelledImages images, TrainingSettings settings)
    {
        RequireTask(settings);
        var autoencoding = settings.Task == TrainingTask.Autoencoding;
        var hashes = new Lazy<UInt128[]>(() => [.. Enumerable.Range(0, images.Count).Select(i => ContentHash.Of(images[i]))]);
        var (split, report) = ItemSplit.Of(
            new()
            {
                Count = images.Count,
                Own = images.Splits,
                Classes = autoencoding ? null : images.Labels,
                Content = i => hashes.Value[i],
                Noun = "images",
            },
            settings);
        var (mean, deviation) = settings.Data.Image is { Normalise: true } ? Measure(images, split.Train) : (null, null);
        var inputs = new ImageInputs(images, mean, deviation, ImageVariation.For(settings.Data.Augmentation));
        return new()
        {
            Examples = new()
            {
                Inputs = inputs,
                Targets = autoencoding ? ExampleTargets.OfInputs(inputs.Width) : ExampleTargets.OfClasses(images.Labels, images.Classes),
                Split = split,
            },
            Pipeline = new()
            {
                // As the data set was decoded: serving must see what training saw.
                Image = new(images.Width, images.Height, images.Channels, mean, deviation) { Alpha = AlphaMode.Ignore },
                Labels = autoencoding ? null : images.Classes,
            },
            DefaultPreset = ModelPresets.Default,
            Corrupt = images.Corrupt,
            Report = report with { Sizes = images.Sizes },
        };
    }

    private static void RequireTask(TrainingSettings settings)
    {
        if (settings.Task is TrainingTask.MultiLabel or TrainingTask.Regression)
            throw new ProblemException(ProblemCodes.InvalidValue, $"The task '{settings.Task}' needs a target column, and a data set of images in folders has none: it can be used for classification and autoencoding.", ("field", "task"), ("value", settings.Task));
        if (settings.Data.Split is { Kind: SplitKind.Group or SplitKind.Time or SplitKind.File })
            throw new ProblemException(ProblemCodes.InvalidValue, $"A split by {settings.Data.Split.Kind.Value.ToString().ToLowerInvariant()} needs a column, and a data set of images in folders has none. Use 'own', 'stratified' or 'random'.", ("field", "data.split.kind"));
        if (settings.Data.Balance == BalanceMode.Smote)
            throw new ProblemException(ProblemCodes.InvalidValue, "'data.balance' 'smote' is for tables. For images use 'sample', or 'loss.balanced'.", ("field", "data.balance"));
    }

    /// <summary>The mean and standard deviation of each channel over the training images, in units of 0 to 1.</summary>
    private static (double[] Mean, double[] Deviation) Measure(LabelledImages images, int[] train)
    {
        var plane = images.Width * images.Height;
        var (mean, deviation) = (new double[images.Channels], new double[images.Channels]);
        for (var c = 0; c < images.Channels; c++)
        {
            long sum = 0, squares = 0;
            foreach (var i in train)
            {
                foreach (var value in images[i].Slice(c * plane, plane))
                {
                    sum += value;
                    squares += value * value;
                }
            }

            var count = (double)train.Length * plane;
            var average = sum / count;
            mean[c] = average / 255;
            // A channel that is the same everywhere is left as it is.
            deviation[c] = Math.Sqrt(Math.Max(0, squares / count - average * average)) / 255 is var d && d > 1e-6 ? d : 1;
        }

        return (mean, deviation);
    }
}
