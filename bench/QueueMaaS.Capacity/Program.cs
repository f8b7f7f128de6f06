using QueueMaaS.Capacity;

// dotnet run -c Release --project bench/QueueMaaS.Capacity [figures.json]
const double DaysOfMonth = 30;
var figures = Figures.Read(args.Length > 0 ? args[0] : Path.Combine(AppContext.BaseDirectory, "figures.json"));

var machine = Layout.OneMachine(figures, figures.MeasuredCores);
var simulated = Simulation.Highest(machine);
Console.WriteLine($"The machine of the figures: {figures.MeasuredPerSecond:n0} jobs/s measured, {simulated:n0} simulated ({simulated / figures.MeasuredPerSecond:0.00}).\n");

Console.WriteLine("| layout | highest load, p99 within 1 s | first wall | p50, p99 at half of it, ms |\n| --- | --- | --- | --- |");
Layout[] layouts =
[
    machine,
    Layout.Apart("one of each: API, worker, broker of 4 cores, database of 8", figures, (1, 4), (1, 4), (1, 8), (1, 4), (1, 2)),
    Layout.Apart("the same, two API nodes and four workers", figures, (2, 4), (4, 4), (1, 8), (1, 4), (1, 2)),
    Layout.Apart("the same, database of 16 cores, broker of 8", figures, (2, 4), (4, 4), (1, 16), (1, 8), (1, 2)),
    Layout.Apart("4 API nodes, 8 workers, database of 32, 3 brokers of 8, 2 notifiers", figures, (4, 4), (8, 4), (1, 32), (3, 8), (2, 2)),
    Layout.Apart("the same, two databases of 32 (sharded queues)", figures, (4, 4), (8, 4), (2, 32), (3, 8), (2, 2)),
];
foreach (var layout in layouts)
{
    var highest = Simulation.Highest(layout);
    // A little more than it carries: where jobs pile up is the wall.
    var over = Simulation.Run(layout, highest * 1.15, 5);
    var half = Simulation.Run(layout, highest / 2, 5);
    var step = over.Waiting.MaxBy(waiting => waiting.Value).Key;
    var busy = over.Busy[step.Pool.Name];
    var wall = busy > 0.9 ? $"the cores of {step.Pool.Name}" : $"turns: `{step.Name}` one group after the other ({step.Pool.Name} is {busy:p0} busy)";
    Console.WriteLine($"| {layout.Name} | {highest:n0} jobs/s | {wall} | {half.Percentile(0.5):n0}, {half.Percentile(0.99):n0} |");
}

Console.WriteLine("\n| load | write-ahead log | kept a day | kept a month | a billion jobs |\n| --- | --- | --- | --- | --- |");
foreach (var rate in (double[])[100, 1000, 10_000])
{
    var day = rate * 86_400;
    Console.WriteLine($"| {rate:n0} jobs/s | {rate * figures.LogBytes / 1e6:n1} MB/s | {day * figures.KeptBytes / 1e9:n0} GB | {day * DaysOfMonth * figures.KeptBytes / 1e12:n1} TB | {1e9 * figures.KeptBytes / 1e12:n2} TB, after {1e9 / day:n1} days |");
}

Console.WriteLine("\n| cores that 10,000 jobs/s take | |\n| --- | --- |");
foreach (var (name, microseconds) in (ReadOnlySpan<(string, double)>)[("API", figures.Api), ("workers", figures.Worker), ("notifiers", figures.Notifier), ("PostgreSQL", figures.PostgreSql), ("RabbitMQ", figures.RabbitMq), ("Redis", figures.Redis)])
    Console.WriteLine($"| {name} | {microseconds / 100:n1} |");
