using QueueMaaS.Contracts;
using QueueMaaS.Inference.Batching;
using QueueMaaS.Inference.Isolation;
using QueueMaaS.Inference.Sessions;
using QueueMaaS.Inference.Tensors;
using QueueMaaS.Onnx;

namespace QueueMaaS.Bench;

/// <summary>The batcher itself, over ONNX Runtime and over no model at all.</summary>
internal static class BatcherBench
{
    private const int Callers = 64;
    private const int Rounds = 5;

    /// <summary>64 callers of one row, with batching and without, beside the bare session.</summary>
    public static async Task BatchingAsync(double seconds)
    {
        using var metrics = new InferenceMetrics();
        foreach (var (name, graph, row, target) in (ValueTuple<string, ModelProto, long[], string>[])[("mlp 784-128-10", BenchGraphs.Mlp(), [1, 784], "5"), ("cnn-small", BenchGraphs.CnnSmall(), [1, 3, 32, 32], "1.2")])
        {
            using var file = new ModelFile(graph);
            using var model = OnnxModel.Load(file.Path, Environment.ProcessorCount);
            var input = Row(row);
            Report.Head($"{name}, {Callers} callers of one row");
            Bare(model, input, 1, seconds);
            Bare(model, input, Callers, seconds);
            await using var one = Batcher(new OnnxSession(model), 1, metrics);
            await using var many = Batcher(new OnnxSession(model), Callers, metrics);
            var (off, on) = await Load.PairAsync(Rounds, () => RunAsync(one, input, Callers, seconds / Rounds), () => RunAsync(many, input, Callers, seconds / Rounds));
            Report.Row("batching off", off);
            Report.Row($"batches of up to {Callers}", on);
            Report.Ratio("on / off", on.PerSecond / off.PerSecond, target);
        }
    }

    /// <summary>A model in a process of its own, beside the same in the worker: alone and with 64 callers.</summary>
    public static async Task IsolatedAsync(double seconds)
    {
        using var metrics = new InferenceMetrics();
        var loader = new ModelLoader(new("dotnet", [typeof(BatcherBench).Assembly.Location, ModelProcessProgram.Command]));
        foreach (var (name, graph, row) in (ValueTuple<string, ModelProto, long[]>[])[("mlp 784-128-10", BenchGraphs.Mlp(), [1, 784]), ("cnn-small", BenchGraphs.CnnSmall(), [1, 3, 32, 32])])
        {
            using var file = new ModelFile(graph);
            var started = System.Diagnostics.Stopwatch.StartNew();
            using var isolated = loader.Load(file.Path, Environment.ProcessorCount, new(), isolated: true);
            Console.WriteLine($"a process with {name} is ready after {started.Elapsed.TotalMilliseconds:N0} ms");
            using var inWorker = loader.Load(file.Path, Environment.ProcessorCount, new(), isolated: false);
            foreach (var callers in (int[])[1, Callers])
            {
                await using var own = Batcher(isolated.NewInstance(), callers, metrics);
                await using var shared = Batcher(inWorker.NewInstance(), callers, metrics);
                var (apart, within) = await Load.PairAsync(Rounds, () => RunAsync(own, Row(row), callers, seconds / Rounds), () => RunAsync(shared, Row(row), callers, seconds / Rounds));
                Report.Head($"{name}, callers of one row: {callers}");
                Report.Row("in the worker", within);
                Report.Row("in a process of its own", apart);
                Report.Ratio("own process / worker", apart.PerSecond / within.PerSecond);
            }
        }
    }

    /// <summary>A model that costs nothing: what remains is the batcher. Run it on one core (taskset 1).</summary>
    public static async Task NoModelAsync(double seconds)
    {
        using var metrics = new InferenceMetrics();
        Report.Head($"no model, {Callers} callers, {Environment.ProcessorCount} processors");
        await using var batcher = Batcher(new NoModel(), Callers, metrics);
        await RunAsync(batcher, Row([1, 8]), Callers, 1);
        Report.Row($"batches of up to {Callers}", await RunAsync(batcher, Row([1, 8]), Callers, seconds));
    }

    /// <summary>Throughput and tail as callers grow.</summary>
    public static async Task ClientsAsync(double seconds)
    {
        using var metrics = new InferenceMetrics();
        using var file = new ModelFile(BenchGraphs.Mlp());
        using var model = OnnxModel.Load(file.Path, Environment.ProcessorCount);
        await using var batcher = Batcher(new OnnxSession(model), Callers, metrics);
        Report.Head("mlp 784-128-10, batches of up to 64, by number of callers");
        var levels = new List<(int, Measured)>();
        foreach (var callers in (int[])[1, 4, 16, 64, 256])
        {
            await RunAsync(batcher, Row([1, 784]), callers, 0.3);
            var measured = await RunAsync(batcher, Row([1, 784]), callers, seconds);
            Report.Row($"{callers} callers", measured);
            levels.Add((callers, measured));
        }

        CallersPlot.Draw("callers.png", "MLP 784-128-10, batches of up to 64", levels);
        Console.WriteLine($"drawn in {Path.GetFullPath("callers.png")}");
    }

    private static Task<Measured> RunAsync(DynamicBatcher batcher, TensorBuffer input, int callers, double seconds)
    {
        var request = new BatchRequest { Inputs = [input], Rows = 1 };
        return Load.RunAsync(callers, seconds, async (_, _) => (await batcher.InferAsync(request)).Receipt.Size);
    }

    private static DynamicBatcher Batcher(IModelInstance instance, int maxBatchSize, InferenceMetrics metrics) =>
        new(new() { Model = "bench", Version = maxBatchSize, MaxBatchSize = maxBatchSize }, [instance], TimeProvider.System, metrics);

    private static TensorBuffer Row(long[] shape) => TensorBuffer.OfBytes("x", TensorDatatype.Find(Datatypes.Fp32)!, shape, new byte[shape.Aggregate(4L, (a, b) => a * b)]);

    private static void Bare(OnnxModel model, TensorBuffer input, int rows, double seconds)
    {
        using var session = new OnnxSession(model);
        var members = Enumerable.Repeat(new BatchMember([input], 1), rows).ToArray();
        for (var i = 0; i < 50; i++)
            session.Run(members, CancellationToken.None);
        var bytes = GC.GetTotalAllocatedBytes();
        var clock = System.Diagnostics.Stopwatch.StartNew();
        long done = 0;
        for (; clock.Elapsed.TotalSeconds < seconds / 2; done += rows)
            session.Run(members, CancellationToken.None);
        var took = clock.Elapsed.TotalSeconds;
        Report.Row($"session alone, batches of {rows}", new(done / took, rows, took / done * rows * 1000, 0, (GC.GetTotalAllocatedBytes() - bytes) / (double)done));
    }
}
