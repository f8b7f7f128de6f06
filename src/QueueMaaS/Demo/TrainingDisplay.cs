using System.Diagnostics;
using System.Text.Json;
using QueueMaaS.Client;
using QueueMaaS.Contracts;
using Spectre.Console;

namespace QueueMaaS.Demo;

/// <summary>Shows what the queue reports: progress bars on a terminal, one line per epoch elsewhere.</summary>
internal static class TrainingDisplay
{
    /// <summary>Follows a training job's event stream to its end.</summary>
    public static async Task<Job> FollowAsync(QueueMaaSClient api, string id, int epochs, CancellationToken cancellationToken)
    {
        if (AnsiConsole.Profile.Capabilities.Interactive)
        {
            await AnsiConsole.Progress().Columns(new TaskDescriptionColumn(), new ProgressBarColumn(), new PercentageColumn(), new RemainingTimeColumn()).StartAsync(async context =>
            {
                var all = context.AddTask("waiting for a worker", maxValue: epochs);
                await foreach (var progress in ProgressAsync(api, id, cancellationToken))
                {
                    all.Value = progress.Phase == "training" ? progress.Epoch - 1 + ((double)progress.Step / Math.Max(1, progress.Steps)) : progress.History.Count;
                    all.Description = Describe(progress).EscapeMarkup();
                }
            });
        }

        else
        {
            var shown = 0;
            await foreach (var progress in ProgressAsync(api, id, cancellationToken))
                shown = ShowEpochs(progress, shown);
        }

        return await api.WaitAsync(id, cancellationToken);
    }

    /// <summary>How many batches of each size the batcher formed.</summary>
    public static void BatchSizes(IReadOnlyDictionary<int, int> sizes)
    {
        var chart = new BarChart().Width(60).Label("    batches by size (rows)");
        foreach (var (size, count) in sizes.OrderBy(entry => entry.Key))
            chart.AddItem($"    {size}", count, Color.Green);
        AnsiConsole.Write(chart);
    }

    public static void Confusion(IReadOnlyList<string> labels, IReadOnlyList<IReadOnlyList<int>> counts)
    {
        var table = new Table().Border(TableBorder.Simple).AddColumn("true \\ predicted");
        foreach (var label in labels)
            table.AddColumn(new Spectre.Console.TableColumn(Short(label)).RightAligned());
        for (var row = 0; row < labels.Count; row++)
            table.AddRow([labels[row].EscapeMarkup(), .. counts[row].Select((count, column) => column == row ? $"[green]{count}[/]" : count == 0 ? "[grey]·[/]" : $"{count}")]);
        AnsiConsole.Write(table);
    }

    private static string Short(string label) => (label.Length > 6 ? label[..6] : label).EscapeMarkup();

    private static async IAsyncEnumerable<TrainingProgress> ProgressAsync(QueueMaaSClient api, string id, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await WaitForAcceptanceAsync(api, id, cancellationToken);
        await foreach (var e in api.EventsAsync(id, after: 0, cancellationToken))
        {
            // Other events have data of their own kind: a checkpoint's, for example.
            if (e is { Type: "progress", Data: { } data })
                yield return data.Deserialize<TrainingProgress>(QueueMaaSJson.Relaxed)!;
        }
    }

    private static async Task WaitForAcceptanceAsync(QueueMaaSClient api, string id, CancellationToken cancellationToken)
    {
        for (var clock = Stopwatch.StartNew(); ; await Task.Delay(50, cancellationToken))
        {
            try
            {
                await api.GetAsync(id, cancellationToken);
                return;
            }
            catch (ProblemException exception) when (exception.Problem.Code == ProblemCodes.JobNotFound && clock.Elapsed < TimeSpan.FromSeconds(30))
            {
                continue;
            }
        }
    }

    private static string Describe(TrainingProgress progress) => progress.Phase == "training"
        ? $"epoch {progress.Epoch}/{progress.Epochs}  loss {progress.Loss:0.000}  accuracy {progress.Accuracy:p1}  {progress.ImagesPerSecond:n0} images/s  {Left(progress)}"
        : progress.Phase;

    private static string Left(TrainingProgress progress) => progress.SecondsLeft is { } seconds ? $"{seconds:0} s left" : "";

    private static int ShowEpochs(TrainingProgress progress, int shown)
    {
        foreach (var epoch in progress.History.Skip(shown))
            AnsiConsole.MarkupLine($"    epoch {epoch.Epoch}/{progress.Epochs}  loss {epoch.Loss:0.000}  accuracy {epoch.Accuracy:p1}  validation {epoch.ValidationAccuracy:p1}  {epoch.ImagesPerSecond:n0} images/s  {Left(progress)}".EscapeMarkup());
        return progress.History.Count;
    }
}
