using QueueMaaS.Contracts;
using QueueMaaS.Inference.Batching;

namespace QueueMaaS.Inference.Tests;

/// <summary>What is counted: requests, whoever's computation answered them.</summary>
public sealed class StatisticsTests : IAsyncLifetime
{
    private readonly TempFolder _folder = new();
    private readonly ModelHost _host = new(new() { Instances = 1 });

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        await _host.DisposeAsync();
        _folder.Dispose();
    }

    [Fact]
    public async Task A_kept_answer_is_a_success_and_a_hit_and_no_computation()
    {
        var model = Graphs.Linear().Serve(_folder, new() { CacheSeconds = 600 });
        for (var i = 0; i < 3; i++)
            await _host.InferAsync(model, Samples.Tensor("x", "FP32", [2, 2], "[1,2,3,4]"));

        var counted = Counted();
        (counted.Succeeded.Count, counted.Queued.Count, counted.Computed.Count, counted.Reused.Count, counted.NotReused.Count, counted.Batches, counted.Rows).ShouldBe((3, 3, 1, 2, 1, 1, 2));
        counted.NotReused.Time.ShouldBeGreaterThan(TimeSpan.Zero);
    }

    [Fact]
    public async Task Requests_that_share_a_computation_are_counted_each_and_the_computation_once()
    {
        var model = Graphs.Linear().Serve(_folder, new() { ShareIdentical = true, MaxQueueDelayMs = 500 });
        await _host.LoadAsync(model);

        var answers = await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => _host.InferAsync(model, Samples.Tensor("x", "FP32", [1, 2], "[1,2]"))));

        var shared = answers.Count(static answer => answer.Batch.Shared);
        shared.ShouldBeGreaterThan(0);
        var counted = Counted();
        (counted.Succeeded.Count, counted.Reused.Count, counted.Computed.Count, counted.NotReused.Count).ShouldBe((20, shared, 20 - shared, 20 - shared));
    }

    [Fact]
    public async Task Those_who_share_a_computation_that_fails_fail_each()
    {
        var model = Graphs.HiddenLookup().Serve(_folder, new() { ShareIdentical = true, MaxQueueDelayMs = 500 });
        await _host.LoadAsync(model);

        var failed = await Task.WhenAll(Enumerable.Range(0, 5).Select(_ => Samples.ShouldFailAsync(_host.InferAsync(model, Samples.Tensor("index", "INT64", [1], "[9000]")), ProblemCodes.ModelExecutionFailed)));

        failed.Length.ShouldBe(5);
        var counted = Counted();
        (counted.Succeeded.Count, counted.Failed.Count, counted.Rows).ShouldBe((0, 5, 0));
        counted.Failed.Time.ShouldBeGreaterThan(TimeSpan.Zero);
    }

    [Fact]
    public async Task A_batchs_time_counts_for_each_request_in_it_and_a_large_request_once()
    {
        var model = Graphs.Linear().Serve(_folder, new() { MaxBatchSize = 8, MaxQueueDelayMs = 200 });
        await Task.WhenAll(Enumerable.Range(0, 8).Select(i => _host.InferAsync(model, Samples.Tensor("x", "FP32", [1, 2], $"[{i},2]"))));
        await _host.InferAsync(model, Samples.Tensor("x", "FP32", [20, 2], $"[{string.Join(',', Enumerable.Range(0, 40))}]"));

        var counted = Counted();
        (counted.Succeeded.Count, counted.Computed.Count, counted.Queued.Count, counted.Rows).ShouldBe((9, 9, 9, 28));
        counted.Batches.ShouldBe(counted.BySize.Sum(static size => size.Computed.Count));
        counted.Batches.ShouldBeLessThan(9);
        counted.Succeeded.Time.ShouldBe(counted.Queued.Time + counted.Computed.Time);
    }

    private ModelStatistics Counted() => _host.Statistics().Single();
}
