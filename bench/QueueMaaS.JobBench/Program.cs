using System.Globalization;
using QueueMaaS.JobBench;

// dotnet run -c Release --project bench/QueueMaaS.JobBench -- VERB [number: jobs, polls, most rows, or seconds for webhook], with Bus__RabbitMq, Storage__PostgreSql and Storage__Redis set.
var verb = args.Length > 0 ? args[0] : "no-op";
var jobs = args.Length > 1 ? int.Parse(args[1], CultureInfo.InvariantCulture) : 20_000;
var benches = new Dictionary<string, Func<int, Task>>(StringComparer.Ordinal)
{
    ["no-op"] = PipelineBench.NoOpAsync,
    ["idle"] = PipelineBench.IdleAsync,
    ["peers"] = PeersBench.RunAsync,
    ["accept"] = AcceptBench.RunAsync,
    ["poll"] = PollBench.RunAsync,
    ["parts"] = PartsBench.RunAsync,
    ["growth"] = GrowthBench.RunAsync,
    ["start"] = StartBench.RunAsync,
    ["wake"] = WakeBench.RunAsync,
    ["webhook"] = WebhookBench.RunAsync,
};
if (!benches.TryGetValue(verb, out var bench))
{
    Console.Error.WriteLine($"There is no benchmark `{verb}`. There are: {string.Join(", ", benches.Keys)}.");
    return 1;
}

await bench(jobs);
return 0;
