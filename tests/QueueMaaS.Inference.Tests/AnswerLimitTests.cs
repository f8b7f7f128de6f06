using QueueMaaS.Contracts;
using QueueMaaS.Inference.BatchJobs;
using QueueMaaS.Inference.BatchJobs.Sources;
using QueueMaaS.Inference.Isolation;
using QueueMaaS.Inference.Sessions;
using QueueMaaS.Onnx;
using static QueueMaaS.Onnx.TensorProto.Types;

namespace QueueMaaS.Inference.Tests;

/// <summary>How large an answer may become: 4,000 bytes in these tests.</summary>
public sealed class AnswerLimitTests : IAsyncLifetime
{
    private const long Limit = 4000;

    /// <summary>Numbers of 4 bytes in a row of <see cref="Wide"/>'s answer: ten rows are as much as an answer may have.</summary>
    private const int Width = 100;

    private readonly TempFolder _folder = new();
    private readonly ModelHost _host = new(new() { MaxAnswerBytes = Limit, Isolation = "none", Instances = 1 });

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        await _host.DisposeAsync();
        _folder.Dispose();
    }

    [Theory]
    [InlineData("none")]
    [InlineData("all")]
    public async Task A_request_that_asks_for_more_than_an_answer_may_have_fails_and_the_next_does_not(string isolation)
    {
        await using var host = new ModelHost(
            new() { MaxAnswerBytes = Limit, Isolation = isolation, Instances = 1 }, loader: new ModelLoader(new ModelProcessStart("dotnet", [typeof(AnswerLimitTests).Assembly.Location, ModelProcessProgram.Command])));
        var zeros = Zeros().Serve(_folder);
        foreach (var asked in new long[] { 1001, 2_000_000 })
        {
            var refused = await Samples.ShouldFailAsync(host.InferAsync(zeros, Samples.Tensor("n", "INT64", [1], $"[{asked}]")), ProblemCodes.AnswerTooLarge);
            refused.Message.ShouldContain("Inference:MaxAnswerBytes");
        }

        (await host.InferAsync(zeros, Samples.Tensor("n", "INT64", [1], "[1000]"))).Outputs!.Single().Shape.ShouldBe([1000]);
    }

    [Theory]
    [InlineData("none")]
    [InlineData("all")]
    public async Task Of_several_in_a_batch_only_the_one_whose_own_rows_are_too_much_fails(string isolation)
    {
        await using var host = new ModelHost(
            new() { MaxAnswerBytes = Limit, Isolation = isolation, Instances = 1 }, loader: new ModelLoader(new ModelProcessStart("dotnet", [typeof(AnswerLimitTests).Assembly.Location, ModelProcessProgram.Command])));
        var wide = Wide().Serve(_folder, new() { MaxBatchSize = 64, MaxQueueDelayMs = 300 });
        Task<Batching.BatchResponse> Ask(int rows) => host.RunAsync(wide, host.Prepare(wide, [Samples.Floats("x", [rows, 2], new float[rows * 2])]), new());
        await Ask(1);

        // Together they have 24 rows, 9,600 bytes.
        var good = new[] { Ask(10), Ask(1), Ask(2) };
        var large = Ask(11);

        await Samples.ShouldFailAsync(large, ProblemCodes.AnswerTooLarge);
        (await Task.WhenAll(good)).Select(static answer => answer.Outputs[0].Shape[0]).ShouldBe([10L, 1, 2]);
    }

    [Fact]
    public async Task A_request_computed_in_parts_is_held_to_the_limit_as_a_whole()
    {
        var wide = Wide().Serve(_folder, new() { MaxBatchSize = 4 });
        Task<Batching.BatchResponse> Ask(int rows) => _host.RunAsync(wide, _host.Prepare(wide, [Samples.Floats("x", [rows, 2], new float[rows * 2])]), new());

        (await Ask(10)).Outputs[0].Shape.ShouldBe([10L, Width]);
        await Samples.ShouldFailAsync(Ask(11), ProblemCodes.AnswerTooLarge);
    }

    [Fact]
    public async Task Numbers_that_take_more_as_text_than_an_answer_may_have_fail_where_they_are_written_only()
    {
        var model = Graphs.Identity(DataType.Float, -1, 500).Serve(_folder);
        var third = _host.Prepare(model, [Samples.Floats("x", [1, 500], [.. Enumerable.Repeat(1 / 3f, 500)])]);

        (await _host.RunAsync(model, third, new())).Outputs[0].Bytes.Length.ShouldBe(2000);
        var refused = await Samples.ShouldFailAsync(_host.InferAsync(model, third, new()), ProblemCodes.AnswerTooLarge);
        refused.Message.ShouldContain("JSON");
        (await _host.InferAsync(model, _host.Prepare(model, [Samples.Floats("x", [1, 500], new float[500])]), new())).Outputs!.Single().Shape.ShouldBe([1, 500]);
    }

    [Fact]
    public async Task Strings_count_by_their_length()
    {
        var model = Graphs.Identity(DataType.String, -1, 1).Serve(_folder);
        await Samples.ShouldFailAsync(_host.InferAsync(model, Samples.Tensor("x", "BYTES", [1, 1], $"[\"{new string('a', 4000)}\"]")), ProblemCodes.AnswerTooLarge);
        (await _host.InferAsync(model, Samples.Tensor("x", "BYTES", [1, 1], $"[\"{new string('a', 3900)}\"]"))).Outputs!.Single().Shape.ShouldBe([1, 1]);
    }

    [Fact]
    public async Task Items_of_a_batch_job_are_answers_of_their_own_however_many_go_together()
    {
        var wide = Wide().Serve(_folder);
        var rows = _host.Prepare(wide, [Samples.Floats("x", [24, 2], new float[48])]);
        var group = new ItemGroup([.. Enumerable.Range(1, 24).Select(static number => new Item(number, null, null, null, null))], rows);

        var results = await new GroupRunner(_host, wide, 4).RunAsync(group, CancellationToken.None);

        results.Each().Count(static item => item.Error is null && item.Outputs![0].Shape[1] == Width).ShouldBe(24);
    }

    [Fact]
    public void Fewer_items_go_together_where_each_is_answered_by_much()
    {
        GroupSizes.Choose(Wide().Serve(_folder, name: "narrow"), null).ShouldBe(256);
        // 4 MB a row: eight of them are 32 MB.
        GroupSizes.Choose(Wide(1 << 20).Serve(_folder, name: "wide"), null).ShouldBe(8);
        GroupSizes.Choose(Wide(1 << 20).Serve(_folder, name: "wide"), 100).ShouldBe(100);
    }

    /// <summary>As many zeros as asked for.</summary>
    private static ModelProto Zeros()
    {
        var graph = new GraphProto { Name = "zeros" };
        graph.Input.Add(Graphs.Value("n", DataType.Int64, [1]));
        graph.Output.Add(Graphs.Value("y", DataType.Float, [-1], axis: "size"));
        graph.Node.Add(Graphs.Node("ConstantOfShape", ["n"], ["y"]));
        return Graphs.Model(graph);
    }

    /// <summary>The two numbers of each row, over and over.</summary>
    private static ModelProto Wide(int width = Width)
    {
        var graph = new GraphProto { Name = "wide" };
        graph.Input.Add(Graphs.Value("x", DataType.Float, [-1, 2]));
        graph.Output.Add(Graphs.Value("y", DataType.Float, [-1, width]));
        graph.Initializer.Add(Graphs.Longs("times", 1, width / 2));
        graph.Node.Add(Graphs.Node("Tile", ["x", "times"], ["y"]));
        return Graphs.Model(graph);
    }
}
