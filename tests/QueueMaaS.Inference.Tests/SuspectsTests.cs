using System.Runtime.InteropServices;
using Microsoft.Extensions.Time.Testing;
using QueueMaaS.Contracts;
using QueueMaaS.Inference.Batching;
using QueueMaaS.Inference.Tensors;

namespace QueueMaaS.Inference.Tests;

public sealed class SuspectsTests : IDisposable
{
    private const long Bad = 5000;
    private readonly InferenceMetrics _metrics = new();

    public void Dispose() => _metrics.Dispose();

    [Fact]
    public async Task A_failure_that_names_the_bad_value_costs_two_runs_more()
    {
        var table = new Table($"indices element out of data bounds, idx={Bad} must be within the inclusive range [-1000,999]");

        var sizes = await RunAsync(table, badAt: 37);

        sizes.ShouldBe([64, 63, 1]);
    }

    [Fact]
    public async Task A_failure_that_names_an_innocent_value_fails_nobody_else()
    {
        // 12 stands in one good request.
        var sizes = await RunAsync(new Table("node 12 failed"), badAt: 37);

        sizes[..3].ShouldBe([64, 63, 31], "the others still hold the culprit, and are halved as ever");
        sizes[^1].ShouldBe(1);
    }

    [Fact]
    public async Task A_failure_that_names_nothing_is_found_by_halves()
    {
        var sizes = await RunAsync(new Table("the computation failed"), badAt: 37);

        sizes[..2].ShouldBe([64, 32]);
    }

    private async Task<List<int>> RunAsync(Table table, int badAt)
    {
        await using var batcher = new DynamicBatcher(new() { Model = "table", Version = 1, MaxBatchSize = 64, MaxQueueDelay = TimeSpan.FromSeconds(1) }, [table], new FakeTimeProvider(), _metrics);
        var calls = Enumerable.Range(0, 64).Select(i => batcher.InferAsync(new() { Inputs = [Index(i == badAt ? Bad : i)], Rows = 1 })).ToArray();

        await Samples.ShouldFailAsync(calls[badAt], ProblemCodes.ModelExecutionFailed);

        for (var i = 0; i < calls.Length; i++)
        {
            if (i != badAt)
                MemoryMarshal.Cast<byte, long>((await calls[i]).Outputs[0].Bytes.Span)[0].ShouldBe(i);
        }

        return table.Sizes;
    }

    private static TensorBuffer Index(long value) => TensorBuffer.OfBytes("index", TensorDatatype.Find(Datatypes.Int64)!, [1], BitConverter.GetBytes(value));

    /// <summary>Gives back its indices; fails with its message where one is beyond the table.</summary>
    private sealed class Table(string message) : IModelInstance
    {
        public List<int> Sizes { get; } = [];

        public IReadOnlyList<TensorBuffer> Run(IReadOnlyList<BatchMember> members, CancellationToken stop)
        {
            lock (Sizes)
                Sizes.Add(members.Count);
            var whole = TensorBuffer.Concatenate(members.Select(static member => member.Inputs[0]).ToArray());
            return MemoryMarshal.Cast<byte, long>(whole.Bytes.Span).Contains(Bad) ? throw new InvalidOperationException(message) : [whole];
        }

        public void Dispose()
        {
        }
    }
}
