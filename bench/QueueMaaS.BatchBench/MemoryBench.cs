using System.Diagnostics;
using System.Globalization;
using QueueMaaS.Bench;
using QueueMaaS.Contracts;

namespace QueueMaaS.BatchBench;

/// <summary>The memory that a batch job of many small lines takes: scale 1 is a million.</summary>
internal static class MemoryBench
{
    public static async Task RunAsync(BatchService service, double scale)
    {
        await service.RegisterAsync("sequence", BenchGraphs.Sequence());
        var count = (int)(1_000_000 * scale);
        var path = Path.Combine(service.Folder, "small.jsonl");
        await using (var file = new StreamWriter(path))
        {
            var data = string.Join(',', Enumerable.Repeat("0.25", 64));
            for (var i = 0; i < count; i++)
                await file.WriteLineAsync($$"""{"id":"item-{{i}}","inputs":[{"name":"x","shape":[1,1,64],"datatype":"FP32","data":[{{data}}]}]}""");
        }

        var artifact = await service.UploadAsync(path);
        File.Delete(path);
        var highest = 0L;
        using var stop = new CancellationTokenSource();
        var watch = Task.Run(async () =>
        {
            using var process = Process.GetCurrentProcess();
            while (!stop.IsCancellationRequested)
            {
                process.Refresh();
                highest = Math.Max(highest, process.WorkingSet64);
                await Task.Delay(200, CancellationToken.None);
            }
        });
        var (perSecond, output) = await service.RunAsync(new BatchInput { Model = "sequence", Artifact = artifact });
        await stop.CancelAsync();
        await watch;
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{output.Succeeded:N0} of {count:N0} lines at {perSecond:N0}/s; the process took {highest / 1048576.0:N0} MiB at most (aim 1,024)"));
    }
}
