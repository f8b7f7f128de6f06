using System.Runtime.InteropServices;
using QueueMaaS.Contracts;
using QueueMaaS.Inference;
using QueueMaaS.Inference.Models;
using QueueMaaS.Inference.Tensors;
using QueueMaaS.Onnx;

namespace QueueMaaS.Bench;

/// <summary>The whole inference path of a worker, from checked tensors to the answer: mixed shapes, poisoned requests, and a long run.</summary>
internal static class HostBench
{
    private const int Callers = 64;
    private const int Rounds = 5;

    /// <summary>Four lengths in turn against one of their mean: the same number of elements either way.</summary>
    public static async Task ShapesAsync(double seconds)
    {
        using var file = new ModelFile(BenchGraphs.Sequence());
        await using var host = new ModelHost(new InferenceOptions());
        var model = Serve(file);
        int[] lengths = [16, 24, 32, 40];
        var mixed = lengths.Select(length => Floats([1, length, 64])).ToArray();
        var one = Floats([1, 28, 64]);
        Report.Head($"a model with a free axis, {Callers} callers");
        var (single, four) = await Load.PairAsync(
            Rounds,
            () => Load.RunAsync(Callers, seconds / Rounds, (_, _) => CallAsync(host, model, one)),
            () => Load.RunAsync(Callers, seconds / Rounds, (caller, i) => CallAsync(host, model, mixed[(caller + i) % mixed.Length])));
        Report.Row("one shape, length 28", single);
        Report.Row("four shapes in turn, lengths 16 to 40", four);
        Report.Ratio("mixed / one", four.PerSecond / single.PerSecond, "0.8");
    }

    /// <summary>One request in 200 is bad; what the others get done counts.</summary>
    public static async Task PoisonAsync(double seconds)
    {
        var good = Indices(7);
        var nan = Floats([1, 784]);
        MemoryMarshal.Cast<byte, float>(MemoryMarshal.AsMemory(nan.Bytes).Span)[5] = float.NaN;
        await CompareAsync("embedding, the bad index seen before its batch", BenchGraphs.Embedding(hidden: false), good, Indices(5000), new(), seconds);
        await CompareAsync("embedding, the bad index seen by its failing batch", BenchGraphs.Embedding(hidden: true), good, Indices(5000), new(), seconds);
        await CompareAsync("mlp 784-128-10, NaN refused", BenchGraphs.Mlp(), Floats([1, 784]), nan, new() { RejectNonFinite = true }, seconds);
    }

    /// <summary>Every answer is checked, and memory looked at, for a long time.</summary>
    public static async Task SoakAsync(double minutes)
    {
        using var file = new ModelFile(BenchGraphs.Embedding(hidden: false));
        await using var host = new ModelHost(new InferenceOptions());
        var model = Serve(file);
        var requests = Enumerable.Range(0, 97).Select(i => Indices(i)).ToArray();
        var expected = new byte[requests.Length][];
        for (var i = 0; i < requests.Length; i++)
            expected[i] = (await host.RunAsync(model, host.Prepare(model, [requests[i]]), new())).Outputs[0].Bytes.ToArray();
        var (sent, answered, wrong) = (0L, 0L, 0L);
        Console.WriteLine($"{"minute",8} {"answered",14} {"wrong",8} {"managed MiB",12} {"process MiB",12}");
        for (var minute = 0; minute < minutes; minute++)
        {
            await Load.RunAsync(Callers, 60, async (caller, i) =>
            {
                var which = (caller + i) % requests.Length;
                Interlocked.Increment(ref sent);
                var answer = await host.RunAsync(model, host.Prepare(model, [requests[which]]), new());
                Interlocked.Increment(ref answered);
                // Rows of a batch of another size may differ in the last digits.
                if (!Near(answer.Outputs[0].Bytes.Span, expected[which]))
                    Interlocked.Increment(ref wrong);
                return answer.Receipt.Size;
            });
            using var process = System.Diagnostics.Process.GetCurrentProcess();
            Console.WriteLine($"{minute + 1,8} {answered,14:N0} {wrong,8:N0} {GC.GetTotalMemory(forceFullCollection: true) / 1048576.0,12:N1} {process.WorkingSet64 / 1048576.0,12:N1}");
        }

        Console.WriteLine($"sent {sent:N0}, answered {answered:N0}, lost {sent - answered:N0}, wrong {wrong:N0}");
    }

    private static async Task CompareAsync(string what, ModelProto graph, TensorBuffer good, TensorBuffer bad, BatchingSettings batching, double seconds)
    {
        using var file = new ModelFile(graph);
        await using var host = new ModelHost(new InferenceOptions());
        var model = Serve(file, batching with { MaxBatchSize = Callers });
        Report.Head($"{what}, {Callers} callers");
        var (none, poisoned) = await Load.PairAsync(
            Rounds,
            () => Load.RunAsync(Callers, seconds / Rounds, (_, _) => CallAsync(host, model, good)),
            () => Load.RunAsync(Callers, seconds / Rounds, (caller, i) => CallAsync(host, model, ((i * Callers) + caller) % 200 == 0 ? bad : good)));
        Report.Row("none bad", none);
        Report.Row("one in 200 bad", poisoned);
        Report.Ratio("poisoned / none", poisoned.PerSecond / none.PerSecond, "0.9");
    }

    private static async ValueTask<int> CallAsync(ModelHost host, ServedModel model, TensorBuffer input)
    {
        try
        {
            return (await host.RunAsync(model, host.Prepare(model, [input]), new())).Receipt.Size;
        }
        catch (ProblemException exception) when (exception.Problem.Code is ProblemCodes.InvalidValue or ProblemCodes.ModelExecutionFailed)
        {
            return 0;
        }
    }

    private static ServedModel Serve(ModelFile file, BatchingSettings? batching = null)
    {
        var inspection = new OnnxModelInspector().Inspect(file.Path);
        return new("bench", 1, file.Path, inspection.Signature, Pipeline: null, batching ?? new() { MaxBatchSize = Callers });
    }

    private static bool Near(ReadOnlySpan<byte> one, ReadOnlySpan<byte> other)
    {
        var a = MemoryMarshal.Cast<byte, float>(one);
        var b = MemoryMarshal.Cast<byte, float>(other);
        for (var i = 0; i < a.Length; i++)
        {
            if (Math.Abs(a[i] - b[i]) > 1e-4f)
                return false;
        }

        return a.Length == b.Length;
    }

    private static TensorBuffer Floats(long[] shape) => TensorBuffer.OfBytes("x", TensorDatatype.Find(Datatypes.Fp32)!, shape, new byte[shape.Aggregate(4L, (a, b) => a * b)]);

    private static TensorBuffer Indices(long value)
    {
        var values = Enumerable.Repeat(value, BenchGraphs.Tokens).ToArray();
        return TensorBuffer.OfBytes("ids", TensorDatatype.Find(Datatypes.Int64)!, [1, values.Length], MemoryMarshal.AsBytes(values.AsSpan()).ToArray());
    }
}
