using QueueMaaS.Contracts;
using QueueMaaS.Data.Archives;
using QueueMaaS.Training.Preparation;
using QueueMaaS.Training.Running;

namespace QueueMaaS.TrainingBench;

/// <summary>The plain recipe on images, judged on a fifth of them that is not trained on. <c>bench/pytorch/train.py accuracy</c> does the same on the same split.</summary>
internal static class Accuracy
{
    public static void Run(string zip, int epochs, int seeds)
    {
        using var archive = DatasetArchive.Open(zip);
        var images = archive.Load(new());
        Samples.HoldOut(images, every: 5);
        var results = new List<double>();
        for (var seed = 0; seed < seeds; seed++)
        {
            var settings = TrainingSettings.From(new TrainingInput { Model = "bench", Dataset = "bench", Epochs = epochs, Seed = seed, Data = new() { Split = new() { Leak = LeakAction.Keep } } });
            var trained = new Trainer().Train(TrainingPlan.For(settings, ImagePreparer.Prepare(images, settings).Examples));
            trained.Model.Dispose();
            results.Add(trained.Final.Accuracy);
            Console.WriteLine($"seed {seed}: {trained.Final.Accuracy:P2} after {epochs} epochs, {trained.History.Average(e => e.ImagesPerSecond):N0} images/s, waited for data {trained.History.Average(e => e.InputBound ?? 0):P1} of the time");
        }

        Console.WriteLine($"mean of {seeds}: {results.Average():P2}");
    }
}
