using System.Globalization;
using QueueMaaS.BatchBench;

// dotnet run -c Release --project bench/QueueMaaS.BatchBench -- [what] [scale]
// On the embedded default, or on RabbitMQ, PostgreSQL and Redis where Bus__RabbitMq, Storage__PostgreSql and Storage__Redis are set. Scale 1 is about 20 seconds for each line.
var what = args.Length > 0 ? args[0] : "all";
var scale = args.Length > 1 ? double.Parse(args[1], CultureInfo.InvariantCulture) : 1;
var benches = new Dictionary<string, Func<BatchService, double, Task>>(StringComparer.Ordinal)
{
    ["npy"] = FileBenches.NpyAsync,
    ["jsonl"] = FileBenches.JsonLinesAsync,
    ["parquet"] = FileBenches.ParquetAsync,
    ["images"] = FileBenches.ImagesAsync,
    ["evaluation"] = FileBenches.EvaluationAsync,
    ["interactive"] = InteractiveBench.RunAsync,
    ["memory"] = MemoryBench.RunAsync,
};
if (what != "all" && !benches.ContainsKey(what))
{
    Console.Error.WriteLine($"There is no benchmark `{what}`. There are: all, {string.Join(", ", benches.Keys)}.");
    return 1;
}

await using var service = await BatchService.StartAsync();
Console.WriteLine($"{Environment.ProcessorCount} processors, .NET {Environment.Version}, {service.Kind}");
Console.WriteLine($"{"what",-44} {"items",10} {"bare/s",12} {"batch job/s",12} {"ratio",7} {"aim",5}");
foreach (var (name, run) in benches)
{
    if (name == what || (what == "all" && name != "memory"))
        await run(service, scale);
}

return 0;
