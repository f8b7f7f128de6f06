using System.Diagnostics;
using System.Globalization;
using Google.Protobuf;
using QueueMaaS.Bench;
using QueueMaaS.Contracts;
using QueueMaaS.Inference.Batching;
using QueueMaaS.Inference.Sessions;
using QueueMaaS.Inference.Tensors;
using QueueMaaS.Onnx;

// dotnet run -c Release --project bench/QueueMaaS.Bench [seconds per measurement, default 3]
var seconds = args.Length > 0 ? double.Parse(args[0], CultureInfo.InvariantCulture) : 3;
const int Callers = 64;
using var metrics = new InferenceMetrics();
Console.WriteLine($"{Environment.ProcessorCount} processors, {Callers} callers, {seconds} s each");
Console.WriteLine($"{"model",-10} {"what",-34} {"rows/s",12} {"mean batch",11} {"bytes/row",10}");

foreach (var (name, graph, row) in (ValueTuple<string, ModelProto, long[]>[])[("mlp", BenchGraphs.Mlp(), [1, 784]), ("cnn-small", BenchGraphs.CnnSmall(), [1, 3, 32, 32])])
{
    var path = Path.Combine(Path.GetTempPath(), $"queuemaas-bench-{Environment.ProcessId}-{name}.onnx");
    File.WriteAllBytes(path, graph.ToByteArray());
    try
    {
        using var model = OnnxModel.Load(path, Environment.ProcessorCount);
        var input = Row(row);
        Bare(name, model, input, 1);
        Bare(name, model, input, Callers);
        await BatchedAsync(name, "64 callers, batching off", () => new OnnxSession(model), input, maxBatchSize: 1);
        await BatchedAsync(name, "64 callers, batches of up to 64", () => new OnnxSession(model), input, maxBatchSize: 64);
    }
    finally
    {
        File.Delete(path);
    }
}

await BatchedAsync("no-op", "64 callers, batches of up to 64", () => new NoModel(), Row([1, 8]), maxBatchSize: 64);

static TensorBuffer Row(long[] shape) => TensorBuffer.OfBytes("x", TensorDatatype.Find(Datatypes.Fp32)!, shape, new byte[shape.Aggregate(4L, (a, b) => a * b)]);

void Bare(string name, OnnxModel model, TensorBuffer input, int rows)
{
    using var session = new OnnxSession(model);
    var members = Enumerable.Repeat(new BatchMember([input], 1), rows).ToArray();
    for (var i = 0; i < 50; i++)
        session.Run(members, CancellationToken.None);
    var bytes = GC.GetTotalAllocatedBytes();
    var clock = Stopwatch.StartNew();
    long done = 0;
    for (; clock.Elapsed.TotalSeconds < seconds; done += rows)
        session.Run(members, CancellationToken.None);
    Report(name, $"session alone, batches of {rows}", done, clock.Elapsed.TotalSeconds, rows, GC.GetTotalAllocatedBytes() - bytes);
}

async Task BatchedAsync(string name, string what, Func<IModelInstance> instance, TensorBuffer input, int maxBatchSize)
{
    await using var batcher = new DynamicBatcher(new() { Model = name, Version = 1, MaxBatchSize = maxBatchSize }, [instance()], TimeProvider.System, metrics);
    var request = new BatchRequest { Inputs = [input], Rows = 1 };
    await RunAsync(0.5);
    var bytes = GC.GetTotalAllocatedBytes();
    var clock = Stopwatch.StartNew();
    var results = await RunAsync(seconds);
    var took = clock.Elapsed.TotalSeconds;
    var rows = results.Sum(r => r.Rows);
    Report(name, what, rows, took, rows / Math.Max(1, results.Sum(r => r.Batches)), GC.GetTotalAllocatedBytes() - bytes);

    // A row in a batch of n is 1/n of a batch, so the sum over all rows counts the batches.
    async Task<(long Rows, double Batches)[]> RunAsync(double length)
    {
        var end = Stopwatch.GetTimestamp() + (long)(length * Stopwatch.Frequency);
        return await Task.WhenAll(Enumerable.Range(0, Callers).Select(_ => Task.Run(async () =>
        {
            var (own, batches) = (0L, 0.0);
            while (Stopwatch.GetTimestamp() < end)
            {
                var answer = await batcher.InferAsync(request);
                own++;
                batches += 1.0 / answer.Receipt.Size;
            }

            return (own, batches);
        })));
    }
}

static void Report(string name, string what, long rows, double took, double batch, long bytes) =>
    Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{name,-10} {what,-34} {rows / took,12:N0} {batch,11:N1} {bytes / (double)Math.Max(1, rows),10:N0}"));
