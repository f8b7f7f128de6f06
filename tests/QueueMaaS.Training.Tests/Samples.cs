using QueueMaaS.Contracts;
using QueueMaaS.Data.Loading;
using QueueMaaS.Training.Preparation;
using QueueMaaS.Training.Running;

namespace QueueMaaS.Training.Tests;

/// <summary>Data that the tests make for themselves.</summary>
internal static class Samples
{
    /// <summary>Images that are dark in class 0, bright in class 1 and so on, with noise: learnt in a few steps.</summary>
    public static LabelledImages Images(int count, int classes = 2, int channels = 3, int height = 18, int width = 18, int seed = 1)
    {
        var random = new Random(seed);
        var pixels = new byte[count * channels * height * width];
        var labels = new int[count];
        var size = channels * height * width;
        for (var i = 0; i < count; i++)
        {
            labels[i] = i % classes;
            for (var p = 0; p < size; p++)
                pixels[i * size + p] = (byte)Math.Clamp(labels[i] * 255 / Math.Max(1, classes - 1) + random.Next(-40, 41), 0, 255);
        }

        return new()
        {
            Pixels = pixels,
            Labels = labels,
            Names = [.. Enumerable.Range(0, count).Select(i => $"{i}")],
            Splits = [.. Enumerable.Repeat("train", count)],
            Classes = [.. Enumerable.Range(0, classes).Select(i => $"class{i}")],
            Width = width,
            Height = height,
            Channels = channels,
            Corrupt = new(0, 0, []),
        };
    }

    public static TrainingInput Input => new() { Model = "m", Dataset = "d" };

    public static TrainingSettings Settings(int epochs = 1, int batchSize = 16, double learningRate = 0.001, string optimizer = "adam", long seed = 0) =>
        TrainingSettings.From(Input with { Epochs = epochs, BatchSize = batchSize, LearningRate = learningRate, Optimizer = optimizer, Seed = seed });

    /// <summary>A plan for a network on such images.</summary>
    public static TrainingPlan Plan(LabelledImages data, TrainingSettings settings) => TrainingPlan.For(settings, ImagePreparer.Prepare(data, settings).Examples);

    /// <summary>All weights, one after the other.</summary>
    public static float[] Weights(TrainingPlan plan, TrainingHooks? hooks = null)
    {
        using var model = new Trainer().Train(plan, hooks).Model;
        return [.. Specification.WeightValues.Of(model).OrderBy(w => w.Key, StringComparer.Ordinal).SelectMany(w => w.Value.Values)];
    }

    public static Problem ShouldFail(Action action, string code)
    {
        var problem = Should.Throw<ProblemException>(action).Problem;
        problem.Code.ShouldBe(code, problem.Message);
        return problem;
    }
}
