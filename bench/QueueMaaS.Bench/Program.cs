using System.Globalization;
using Google.Protobuf;
using QueueMaaS.Bench;
using QueueMaaS.Inference.Isolation;

// dotnet run -c Release --project bench/QueueMaaS.Bench -- [what] [seconds per line, or minutes for soak]
// dotnet run -c Release --project bench/QueueMaaS.Bench -- model mlp|cnn-small|sequence FILE
if (args is [ModelProcessProgram.Command])
    return ModelProcessProgram.Run();
if (args is ["model", var kind, var file])
{
    File.WriteAllBytes(file, MessageExtensions.ToByteArray(kind switch { "mlp" => BenchGraphs.Mlp(), "cnn-small" => BenchGraphs.CnnSmall(), _ => BenchGraphs.Sequence() }));
    return 0;
}

var what = args.Length > 0 ? args[0] : "all";
var length = args.Length > 1 ? double.Parse(args[1], CultureInfo.InvariantCulture) : 10;
var benches = new Dictionary<string, Func<double, Task>>(StringComparer.Ordinal)
{
    ["batching"] = BatcherBench.BatchingAsync,
    ["isolated"] = BatcherBench.IsolatedAsync,
    ["no-model"] = BatcherBench.NoModelAsync,
    ["clients"] = BatcherBench.ClientsAsync,
    ["shapes"] = HostBench.ShapesAsync,
    ["poison"] = HostBench.PoisonAsync,
    ["memory"] = MemoryBench.RunAsync,
    ["soak"] = HostBench.SoakAsync,
};
if (what != "all" && !benches.ContainsKey(what))
{
    Console.Error.WriteLine($"There is no benchmark `{what}`. There are: all, {string.Join(", ", benches.Keys)}.");
    return 1;
}

Console.WriteLine($"{Environment.ProcessorCount} processors, .NET {Environment.Version}, {length} s each");
foreach (var (name, run) in benches)
{
    if (name == what || (what == "all" && name != "soak"))
        await run(length);
}

return 0;
