using System.Diagnostics;
using System.Text.Json;
using System.Text.Json.Nodes;
using QueueMaaS.Contracts;
using QueueMaaS.Data.Archives;
using QueueMaaS.Training.Preparation;
using QueueMaaS.Training.Recipes;
using QueueMaaS.Training.Running;

namespace QueueMaaS.TrainingBench;

/// <summary>A recipe on images, with settings of one's own over it, judged on a tenth of them that is not trained on.</summary>
internal static class RecipeRun
{
    public static void Run(string recipe, string zip, string settings)
    {
        var input = (JsonObject)JsonNode.Parse(settings)!;
        (input["model"], input["dataset"], input["recipe"]) = ("bench", "bench", recipe);
        var training = TrainingDocument.Read(JsonSerializer.SerializeToElement(input));
        using var archive = DatasetArchive.Open(zip);
        var images = archive.Load(new());
        Samples.HoldOut(images, every: 10);
        training = training with { Data = (training.Data ?? new()) with { Split = new() { Leak = LeakAction.Keep } } };
        var checkedSettings = TrainingSettings.From(training);
        var clock = Stopwatch.StartNew();
        var processor = Process.GetCurrentProcess().TotalProcessorTime;
        var reported = 0;
        var trained = new Trainer().Train(TrainingPlan.For(checkedSettings, ImagePreparer.Prepare(images, checkedSettings).Examples), new()
        {
            Report = progress =>
            {
                for (; reported < progress.History.Count; reported++)
                {
                    var epoch = progress.History[reported];
                    Console.WriteLine($"epoch {epoch.Epoch}: loss {epoch.Loss:F3}, held out {epoch.ValidationAccuracy:P2}, {epoch.ImagesPerSecond:N0} images/s, {clock.Elapsed.TotalMinutes:F1} min");
                }
            },
        });
        trained.Model.Dispose();
        processor = Process.GetCurrentProcess().TotalProcessorTime - processor;
        Console.WriteLine($"{recipe} {settings}: held out {trained.Final.Accuracy:P2} ({trained.History[^1].ValidationAccuracy:P2} without views), {clock.Elapsed.TotalMinutes:F1} min, {processor.TotalMinutes:F1} min of processor");
    }
}
