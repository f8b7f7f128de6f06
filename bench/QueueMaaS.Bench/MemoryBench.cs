using BenchmarkDotNet.Attributes;
using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Jobs;
using BenchmarkDotNet.Running;
using BenchmarkDotNet.Toolchains.InProcess.Emit;
using QueueMaaS.Contracts;
using QueueMaaS.Inference;
using QueueMaaS.Inference.Batching;
using QueueMaaS.Inference.Models;
using QueueMaaS.Inference.Tensors;

namespace QueueMaaS.Bench;

/// <summary>What a request allocates on the steady path, by BenchmarkDotNet's memory diagnoser: 64 requests of one row at a time, divided by 64.</summary>
[MemoryDiagnoser]
[System.Diagnostics.CodeAnalysis.SuppressMessage("Design", "CA1001", Justification = "The harness calls StopAsync at the end.")]
public class MemoryBench
{
    private const int Callers = 64;
    private readonly Task[] _calls = new Task[Callers];
    private InferenceMetrics _metrics = null!;
    private DynamicBatcher _batcher = null!;
    private BatchRequest _request = null!;
    private ModelFile _file = null!;
    private ModelHost _host = null!;
    private ServedModel _model = null!;
    private TensorBuffer _row = null!;
    private TensorBuffer _small = null!;

    /// <summary>Prints the table.</summary>
    public static Task RunAsync(double seconds)
    {
        _ = seconds;
        BenchmarkRunner.Run<MemoryBench>(ManualConfig.Create(DefaultConfig.Instance).AddJob(BenchmarkDotNet.Jobs.Job.ShortRun.WithToolchain(InProcessEmitToolchain.Instance)).WithOptions(ConfigOptions.DisableLogFile));
        return Task.CompletedTask;
    }

    [GlobalSetup]
    public void Start()
    {
        _metrics = new();
        _small = TensorBuffer.OfBytes("x", TensorDatatype.Find(Datatypes.Fp32)!, [1, 8], new byte[32]);
        _row = TensorBuffer.OfBytes("x", TensorDatatype.Find(Datatypes.Fp32)!, [1, 784], new byte[784 * 4]);
        _batcher = new(new() { Model = "bench", Version = 1, MaxBatchSize = Callers }, [new NoModel()], TimeProvider.System, _metrics);
        _request = new() { Inputs = [_small], Rows = 1 };
        _file = new(BenchGraphs.Mlp());
        _host = new(new InferenceOptions());
        _model = new("bench", 1, _file.Path, new OnnxModelInspector().Inspect(_file.Path).Signature, Pipeline: null, new() { MaxBatchSize = Callers });
    }

    [GlobalCleanup]
    public async Task StopAsync()
    {
        await _batcher.DisposeAsync();
        await _host.DisposeAsync();
        _metrics.Dispose();
        _file.Dispose();
    }

    /// <summary>The messages alone: what a caller hands in and gets back, made by hand.</summary>
    [Benchmark(Baseline = true, OperationsPerInvoke = Callers)]
    public object Messages()
    {
        object last = null!;
        for (var i = 0; i < Callers; i++)
        {
            var request = new BatchRequest { Inputs = [_small], Rows = 1 };
            last = new TaskCompletionSource<BatchResponse>(request);
            ((TaskCompletionSource<BatchResponse>)last).SetResult(new([_small], new(Callers, "full", 1, 1)));
        }

        return last;
    }

    /// <summary>The batcher over no model.</summary>
    [Benchmark(OperationsPerInvoke = Callers)]
    public Task Batcher()
    {
        for (var i = 0; i < Callers; i++)
            _calls[i] = _batcher.InferAsync(_request);
        return Task.WhenAll(_calls);
    }

    /// <summary>The worker's whole path from tensors to the answer: check, batch, ONNX Runtime.</summary>
    [Benchmark(OperationsPerInvoke = Callers)]
    public Task Host()
    {
        for (var i = 0; i < Callers; i++)
            _calls[i] = _host.RunAsync(_model, _host.Prepare(_model, [_row]), Call);
        return Task.WhenAll(_calls);
    }

    private static readonly InferenceCall Call = new();
}
