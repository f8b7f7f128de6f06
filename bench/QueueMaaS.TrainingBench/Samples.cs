using QueueMaaS.Contracts;
using QueueMaaS.Data.Loading;
using QueueMaaS.Training.Feeding;
using QueueMaaS.Training.Running;

namespace QueueMaaS.TrainingBench;

/// <summary>Random images of CIFAR-10's size: what is measured does not depend on what they show.</summary>
internal static class Samples
{
    public const int Classes = 10;

    public static LabelledImages Images(int count)
    {
        var random = new Random(1);
        var pixels = new byte[count * 3 * 32 * 32];
        random.NextBytes(pixels);
        return new()
        {
            Pixels = pixels,
            Labels = [.. Enumerable.Range(0, count).Select(i => i % Classes)],
            Names = [.. Enumerable.Range(0, count).Select(i => $"{i}")],
            Splits = [.. Enumerable.Repeat("train", count)],
            Classes = [.. Enumerable.Range(0, Classes).Select(i => $"{i}")],
            Width = 32,
            Height = 32,
            Channels = 3,
            Corrupt = new(0, 0, []),
        };
    }

    /// <summary>Keeps every so-manieth image of each class for validation, in the order of the names: another program can make the same split.</summary>
    public static void HoldOut(LabelledImages images, int every)
    {
        var place = new int[images.Classes.Count];
        for (var i = 0; i < images.Count; i++)
            images.Splits[i] = place[images.Labels[i]]++ % every == every - 1 ? "val" : "train";
    }

    public static TrainingPlan Plan(LabelledImages images, string network, int epochs, int batchSize)
    {
        var settings = TrainingSettings.From(new TrainingInput { Model = "bench", Dataset = "bench", Preset = network, Epochs = epochs, BatchSize = batchSize });
        return TrainingPlan.For(settings, new()
        {
            Inputs = new ImageInputs(images),
            Targets = ExampleTargets.OfClasses(images.Labels, images.Classes),
            Split = new([.. Enumerable.Range(0, images.Count)], [0]),
        });
    }
}
