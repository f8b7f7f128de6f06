using System.Diagnostics;
using System.Runtime.InteropServices;
using Google.Protobuf;
using Microsoft.ML.OnnxRuntime;
using QueueMaaS.Onnx;

namespace QueueMaaS.BatchBench;

/// <summary>ONNX Runtime as a person would call it in a loop: one session, all cores, rows gathered in a buffer.</summary>
internal sealed class BareRuntime : IDisposable
{
    private readonly InferenceSession _session;
    private readonly long[] _row;
    private readonly string[] _inputs;
    private readonly string[] _outputs;

    public BareRuntime(ModelProto model, long[] row)
    {
        using var options = new SessionOptions { IntraOpNumThreads = Environment.ProcessorCount };
        _session = new(model.ToByteArray(), options);
        _row = row;
        RowSize = (int)row.Aggregate(1L, static (a, b) => a * b);
        _inputs = [.. _session.InputNames];
        _outputs = [.. _session.OutputNames];
    }

    public int RowSize { get; }

    /// <summary>Computes rows; gives the outputs.</summary>
    public float[] Run(float[] rows, int count)
    {
        using var input = OrtValue.CreateTensorValueFromMemory(OrtMemoryInfo.DefaultInstance, rows.AsMemory(0, count * RowSize), [count, .. _row]);
        using var options = new RunOptions();
        using var outputs = _session.Run(options, _inputs, [input], _outputs);
        return outputs[0].GetTensorDataAsSpan<float>().ToArray();
    }

    /// <summary>Rows a second over data in memory, at the best of a few batch sizes.</summary>
    public double Best(float[] data, double seconds)
    {
        var best = 0.0;
        foreach (var size in (int[])[16, 64, 256])
        {
            var batch = new float[size * RowSize];
            var total = data.Length / RowSize;
            var clock = Stopwatch.StartNew();
            long done = 0;
            for (var at = 0; clock.Elapsed.TotalSeconds < seconds; at = (at + size) % (total - size))
            {
                data.AsSpan(at * RowSize, batch.Length).CopyTo(batch);
                _ = Run(batch, size);
                done += size;
            }

            best = Math.Max(best, done / clock.Elapsed.TotalSeconds);
        }

        return best;
    }

    public void Dispose() => _session.Dispose();

    public static float[] Random(int count)
    {
        var random = new Random(1);
        var values = new float[count];
        for (var i = 0; i < count; i++)
            values[i] = random.NextSingle();
        return values;
    }

    public static ReadOnlySpan<byte> Bytes(float[] values) => MemoryMarshal.AsBytes(values.AsSpan());
}
