using System.Diagnostics;
using QueueMaaS.Contracts;
using QueueMaaS.Inference.Batching;
using QueueMaaS.Inference.Isolation;
using QueueMaaS.Inference.Models;
using QueueMaaS.Inference.Sessions;
using QueueMaaS.Inference.Tensors;
using QueueMaaS.Onnx;
using static QueueMaaS.Onnx.TensorProto.Types;

namespace QueueMaaS.Inference.Tests;

/// <summary>Models in processes of their own: what such a model does, it does to nobody else.</summary>
public sealed class IsolationTests : IAsyncLifetime
{
    private const long Memory = 256 << 20;

    private static readonly ModelProcessStart ThisProgram = new("dotnet", [typeof(IsolationTests).Assembly.Location, ModelProcessProgram.Command]);

    private readonly TempFolder _folder = new();
    private readonly ModelLoader _loader = new(ThisProgram);
    private readonly InferenceOptions _options = new() { Isolation = "all", ModelMemoryBytes = Memory, RunTimeout = TimeSpan.FromSeconds(1), Instances = 2 };
    private readonly ModelHost _host;

    public IsolationTests() => _host = new(_options, loader: _loader);

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        await _host.DisposeAsync();
        _folder.Dispose();
    }

    [Fact]
    public async Task Callers_get_their_own_rows_in_batches_as_from_a_model_in_the_worker()
    {
        var served = Graphs.Linear().Serve(_folder, new() { MaxBatchSize = 8, MaxQueueDelayMs = 5 });
        await using var worker = new ModelHost(new() { Isolation = "none" });
        var answers = await Task.WhenAll(Enumerable.Range(0, 200).Select(i => _host.InferAsync(served, Samples.Tensor("x", "FP32", [1, 2], $"[{i},2]"))));
        for (var i = 0; i < answers.Length; i += 17)
            Samples.ToFloats(answers[i].Outputs!.Single()).ShouldBe(Samples.ToFloats((await worker.InferAsync(served, Samples.Tensor("x", "FP32", [1, 2], $"[{i},2]"))).Outputs!.Single()));
        answers.Max(static a => a.Batch!.Size).ShouldBeGreaterThan(1);
    }

    [Fact]
    public async Task Strings_scalars_and_no_rows_at_all_go_there_and_back()
    {
        var texts = await _host.InferAsync(Graphs.Identity(DataType.String, -1, 2).Serve(_folder, name: "texts"), Samples.Tensor("x", "BYTES", [2, 2], """["ß","","日本","d"]"""));
        texts.Outputs!.Single().Data.GetRawText().ShouldBe("""["ß","","日本","d"]""");
        var none = await _host.InferAsync(Graphs.Linear().Serve(_folder, name: "none"), Samples.Tensor("x", "FP32", [0, 2], "[]"));
        none.Outputs!.Single().Shape.ShouldBe([0, 3]);
        var scalar = await _host.InferAsync(Scalar().Serve(_folder, name: "scalar"), Samples.Tensor("x", "INT64", [], "[9007199254740993]"));
        scalar.Outputs!.Single().Data.GetRawText().ShouldBe("[9007199254740993]");
    }

    [Fact]
    public async Task A_request_that_needs_more_memory_than_a_model_may_have_fails_and_the_next_does_not()
    {
        var sized = Zeros().Serve(_folder);
        var refused = await Samples.ShouldFailAsync(_host.InferAsync(sized, Samples.Tensor("n", "INT64", [1], $"[{Memory}]")), ProblemCodes.OutOfMemory);
        refused.Message.ShouldContain("Inference:ModelMemoryBytes");
        Samples.ToFloats((await _host.InferAsync(sized, Samples.Tensor("n", "INT64", [1], "[3]"))).Outputs!.Single()).ShouldBe([0f]);
        using var worker = Process.GetCurrentProcess();
        worker.PeakWorkingSet64.ShouldBeLessThan(4 * Memory);
    }

    [Fact]
    public async Task An_operator_that_computes_for_ages_is_ended_and_others_are_served_meanwhile()
    {
        var (endless, good) = (LongOperator(3000).Serve(_folder, name: "endless"), Graphs.Linear().Serve(_folder, name: "good"));
        await _host.InferAsync(good, Samples.Tensor("x", "FP32", [1, 2], "[1,2]"));
        var clock = Stopwatch.StartNew();
        for (var run = 0; run < RunGuard.MostInARow; run++)
        {
            var computing = _host.InferAsync(endless, Samples.Tensor("x", "FP32", [1], "[1]"));
            Samples.ToFloats((await _host.InferAsync(good, Samples.Tensor("x", "FP32", [1, 2], "[1,2]"))).Outputs!.Single()).ShouldBe([9.5f, 12.5f, 15.5f]);
            await Samples.ShouldFailAsync(computing, ProblemCodes.ModelRunTimeout);
        }

        await Samples.ShouldFailAsync(_host.InferAsync(endless, Samples.Tensor("x", "FP32", [1], "[1]")), ProblemCodes.ModelResting);
        clock.Elapsed.ShouldBeLessThan(TimeSpan.FromSeconds(60), "one such operator would compute for many minutes");
    }

    [Fact]
    public void A_process_that_is_killed_is_replaced_and_no_run_fails_for_it()
    {
        using var model = Isolated(Graphs.Linear());
        using var instance = model.NewInstance();
        for (var life = 0; life < 3; life++)
        {
            Samples.ToFloats(instance.Run([new([Samples.Floats("x", [1, 2], 1, 2)], 1)], CancellationToken.None).Single()).ShouldBe([9.5f, 12.5f, 15.5f]);
            Kill(model.ProcessId);
        }
    }

    [Fact]
    public async Task A_run_that_nobody_waits_for_any_more_is_stopped_and_the_process_stays()
    {
        using var model = Isolated(HostileModelTests.EndlessLoop());
        model.Limit(TimeSpan.FromMinutes(1));
        using var instance = model.NewInstance();
        using var stop = new CancellationTokenSource(TimeSpan.FromMilliseconds(300));
        var process = model.ProcessId;
        await Should.ThrowAsync<OperationCanceledException>(Task.Run(() => instance.Run([new([Samples.Floats("x", [1, 2], 1, 2)], 1)], stop.Token)));
        model.ProcessId.ShouldBe(process);
        using var running = Process.GetProcessById(process);
        running.HasExited.ShouldBeFalse();
    }

    [Fact]
    public void Failures_of_one_and_of_many_are_told_as_in_the_worker()
    {
        using var model = Isolated(Graphs.HiddenLookup());
        using var instance = model.NewInstance();
        BatchMember good = Index(1), bad = Index(9_000);
        Samples.ShouldFail(() => instance.Run([bad], CancellationToken.None), ProblemCodes.ModelExecutionFailed).Message.ShouldContain("9000");
        Should.Throw<BatchRunException>(() => instance.Run([good, bad], CancellationToken.None)).Message.ShouldContain("9000");
        instance.Run([good], CancellationToken.None).Count.ShouldBe(1);

        BatchMember Index(long at) => new([TensorBuffer.OfBytes(model.Signature.Inputs[0].Name, TensorDatatype.Find(Datatypes.Int64)!, [1], BitConverter.GetBytes(at))], 1);
    }

    [Fact]
    public void The_process_is_given_no_secrets_and_goes_first_when_memory_ends()
    {
        if (!OperatingSystem.IsLinux())
            return;
        Environment.SetEnvironmentVariable("Storage__PostgreSql", "Password=hunter2");
        try
        {
            using var model = Isolated(Graphs.Linear());
            File.ReadAllText($"/proc/{model.ProcessId}/environ").ShouldNotContain("hunter2");
            File.ReadAllText($"/proc/{model.ProcessId}/oom_score_adj").Trim().ShouldBe("1000");
        }
        finally
        {
            Environment.SetEnvironmentVariable("Storage__PostgreSql", null);
        }
    }

    [Fact]
    public async Task The_process_ends_with_the_worker_however_that_ends()
    {
        var socket = _folder.File("s");
        using var process = Process.Start(new ProcessStartInfo("dotnet", [typeof(IsolationTests).Assembly.Location, ModelProcessProgram.Command]) { UseShellExecute = false, RedirectStandardInput = true, RedirectStandardOutput = true })!;
        var order = new ModelProcessOrder { Path = LongOperator(3000).Save(_folder.File("long.onnx")), Socket = socket, IntraOpThreads = 1, MemoryBytes = 0, Options = new() };
        await process.StandardInput.WriteLineAsync(System.Text.Json.JsonSerializer.Serialize(order, QueueMaaSJson.Relaxed));
        (await process.StandardOutput.ReadLineAsync())!.ShouldContain("signature");
        using var connection = new System.Net.Sockets.Socket(System.Net.Sockets.AddressFamily.Unix, System.Net.Sockets.SocketType.Stream, System.Net.Sockets.ProtocolType.Unspecified);
        await connection.ConnectAsync(new System.Net.Sockets.UnixDomainSocketEndPoint(socket));
        using var frames = new TensorFrames(new System.Net.Sockets.NetworkStream(connection), Memory);
        frames.WriteRun([new([Samples.Floats("x", [1], 1)], 1)], long.MaxValue);
        await Task.Delay(300);
        process.HasExited.ShouldBeFalse();
        // What the system does with a pipe whose other end has gone.
        process.StandardInput.Close();
        await process.WaitForExitAsync(new CancellationTokenSource(TimeSpan.FromSeconds(5)).Token);
    }

    [Fact]
    public void An_upload_that_takes_all_memory_as_soon_as_it_is_loaded_is_refused_and_ends_nothing()
    {
        // 2^36 numbers, 256 GiB, which many a machine would let it begin with.
        var file = HostileModelTests.HugeConstant(1L << 36).Save(_folder.File("huge.onnx"));
        var inspector = new OnnxModelInspector(_loader, _options);
        var outcome = Record.Exception(() => inspector.Inspect(file).Isolation!.Isolated.ShouldBeTrue());
        if (outcome is not null)
            outcome.ShouldBeOfType<ProblemException>().Problem.Code.ShouldBeOneOf(ProblemCodes.OutOfMemory, ProblemCodes.NotAnOnnxModel, ProblemCodes.ModelProcessEnded);
    }

    [Fact]
    public void An_upload_that_computes_for_ages_while_it_is_loaded_is_refused()
    {
        // Nothing of it depends on a request, so ONNX Runtime computes it at once.
        var model = LongOperator(3000);
        model.Graph.Node[0].Input[0] = "one";
        model.Graph.Initializer.Add(new TensorProto { Name = "one", DataType = (int)DataType.Float, FloatData = { 1 }, Dims = { 1 } });
        model.Graph.Node[1].Output[0] = "pooled";
        model.Graph.Node.Add(Graphs.Node("Add", ["pooled", "x"], ["y"]));
        var inspector = new OnnxModelInspector(_loader, new() { LoadTimeout = TimeSpan.FromSeconds(2) });
        Samples.ShouldFail(() => inspector.Inspect(model.Save(_folder.File("folded.onnx"))), ProblemCodes.ModelRunTimeout).Message.ShouldContain("Inference:LoadTimeout");
    }

    [Fact]
    public void An_upload_says_whether_it_will_be_isolated_and_why()
    {
        var inspector = new OnnxModelInspector(_loader, _options);
        Isolation(Graphs.Linear()).Isolated.ShouldBeFalse();
        Isolation(HostileModelTests.EndlessLoop()).ShouldSatisfyAllConditions(i => i.Isolated.ShouldBeTrue(), i => i.Reason.ShouldContain("Loop"));
        Isolation(Zeros()).ShouldSatisfyAllConditions(i => i.Isolated.ShouldBeTrue(), i => i.Reason.ShouldContain("'n'"));
        Isolation(Doubled(40)).ShouldSatisfyAllConditions(i => i.Isolated.ShouldBeTrue(), i => i.Reason.ShouldContain("too much"));
        var wide = Isolation(Doubled(20), new() { MaxBatchSize = 256 });
        wide.ShouldSatisfyAllConditions(i => i.Isolated.ShouldBeTrue(), i => i.Reason.ShouldContain("256 rows"), i => i.BytesPerRow!.Value.ShouldBeInRange(1 << 22, 1 << 26));

        IsolationCheck Isolation(ModelProto model, BatchingSettings? batching = null) => inspector.Inspect(model.Save(_folder.File($"{Guid.NewGuid():N}.onnx")), batching).Isolation!;
    }

    [Fact]
    public void A_size_from_a_shape_is_no_reason_and_one_from_a_value_is_even_through_other_nodes()
    {
        ValueDependence.Find(Expanded(fromValues: false)).ShouldBeNull();
        ValueDependence.Find(Expanded(fromValues: true))!.ShouldContain("Expand");
    }

    [Theory]
    [InlineData("Div", DataType.Int32, null, true)]
    [InlineData("Mod", DataType.Int64, null, true)]
    [InlineData("Div", DataType.Int64, -1L, true)]
    [InlineData("Div", DataType.Int64, 7L, false)]
    [InlineData("Mod", DataType.Int32, 10L, false)]
    [InlineData("Div", DataType.Float, null, false)]
    [InlineData("Div", DataType.Uint8, null, false)]
    public void Divisions_of_whole_numbers_that_may_end_the_process_are_found(string operation, DataType type, long? by, bool found)
    {
        var outcome = ValueDependence.Find(Division(operation, type, by));
        (outcome is not null).ShouldBe(found, outcome);
    }

    [Fact]
    public async Task The_least_number_divided_by_minus_one_fails_that_request_only()
    {
        var divide = Division("Div", DataType.Int32, by: null).Serve(_folder, name: "divide");
        await Samples.ShouldFailAsync(Divide(int.MinValue, -1), ProblemCodes.ModelProcessEnded);
        (await Divide(12, 4)).Outputs!.Single().Data.GetRawText().ShouldBe("[3]");

        Task<InferenceOutput> Divide(int x, int y) => _host.InferAsync(divide, Samples.Tensor("x", "INT32", [1, 1], $"[{x}]"), Samples.Tensor("y", "INT32", [1, 1], $"[{y}]"));
    }

    [Fact]
    public void A_process_whose_memory_did_not_suffice_is_replaced_so_that_others_are_not_refused_for_it()
    {
        using var model = Isolated(Zeros());
        using var instance = model.NewInstance();
        using var other = model.NewInstance();
        other.Run([Asking(3)], CancellationToken.None);
        var first = model.ProcessId;
        Samples.ShouldFail(() => instance.Run([Asking(100_000_000_000)], CancellationToken.None), ProblemCodes.OutOfMemory);

        foreach (var one in new[] { instance, other })
            one.Run([Asking(1_000_000)], CancellationToken.None).Count.ShouldBe(1);

        model.ProcessId.ShouldNotBe(first);
        SpinWait.SpinUntil(() => !IsRunning(first), TimeSpan.FromSeconds(10)).ShouldBeTrue("it ends with its last connection");

        static BatchMember Asking(long n) => new([TensorBuffer.OfBytes("n", TensorDatatype.Find(Datatypes.Int64)!, [1], BitConverter.GetBytes(n))], 1);
    }

    private static bool IsRunning(int id)
    {
        try
        {
            using var process = Process.GetProcessById(id);
            return !process.HasExited;
        }
        catch (ArgumentException)
        {
            return false;
        }
    }

    /// <summary>x ÷ y, or x ÷ a constant.</summary>
    private static ModelProto Division(string operation, DataType type, long? by)
    {
        var graph = new GraphProto { Name = "division" };
        graph.Input.Add(Graphs.Value("x", type, [-1, 1]));
        graph.Output.Add(Graphs.Value("z", type, [-1, 1]));
        if (by is { } divisor)
            graph.Initializer.Add(new TensorProto { Name = "y", DataType = (int)type, Dims = { 1 }, RawData = Google.Protobuf.ByteString.CopyFrom(type == DataType.Int32 ? BitConverter.GetBytes((int)divisor) : BitConverter.GetBytes(divisor)) });
        else
            graph.Input.Add(Graphs.Value("y", type, [-1, 1]));
        // Through another node, whose type the file does not say.
        graph.Node.Add(Graphs.Node("Identity", ["x"], ["same"]));
        graph.Node.Add(Graphs.Node(operation, ["same", "y"], ["z"]));
        return Graphs.Model(graph);
    }

    private static void Kill(int id)
    {
        using var process = Process.GetProcessById(id);
        process.Kill();
        process.WaitForExit();
    }

    private IsolatedModel Isolated(ModelProto model) => (IsolatedModel)_loader.Load(model.Save(_folder.File($"{Guid.NewGuid():N}.onnx")), 1, _options, isolated: true);

    /// <summary>y = the greatest of n zeros: the request says how much memory that takes.</summary>
    private static ModelProto Zeros()
    {
        var graph = new GraphProto { Name = "zeros" };
        graph.Input.Add(Graphs.Value("n", DataType.Int64, [1]));
        graph.Output.Add(Graphs.Value("y", DataType.Float, [1]));
        graph.Node.Add(Graphs.Node("ConstantOfShape", ["n"], ["zeros"]));
        graph.Node.Add(Graphs.Node("ReduceMax", ["zeros"], ["y"]));
        return Graphs.Model(graph);
    }

    /// <summary>x put beside itself so many times over, and the greatest of that: each time takes twice as much.</summary>
    private static ModelProto Doubled(int times)
    {
        var graph = new GraphProto { Name = "doubled" };
        graph.Input.Add(Graphs.Value("x", DataType.Float, [-1, 1]));
        graph.Output.Add(Graphs.Value("y", DataType.Float, [-1, 1]));
        for (var i = 0; i < times; i++)
        {
            var node = Named($"double{i}", "Concat", [i == 0 ? "x" : $"x{i}", i == 0 ? "x" : $"x{i}"], [$"x{i + 1}"]);
            node.Attribute.Add(new AttributeProto { Name = "axis", Type = AttributeProto.Types.AttributeType.Int, I = 1 });
            graph.Node.Add(node);
        }

        var most = Graphs.Node("ReduceMax", [$"x{times}"], ["y"]);
        most.Attribute.Add(new AttributeProto { Name = "axes", Type = AttributeProto.Types.AttributeType.Ints, Ints = { 1 } });
        graph.Node.Add(most);
        return Graphs.Model(graph);
    }

    private static NodeProto Named(string name, string operation, string[] inputs, string[] outputs)
    {
        var node = Graphs.Node(operation, inputs, outputs);
        node.Name = name;
        return node;
    }

    private static ModelProto Scalar()
    {
        var graph = new GraphProto { Name = "scalar" };
        graph.Input.Add(Graphs.Value("x", DataType.Int64, []));
        graph.Output.Add(Graphs.Value("y", DataType.Int64, []));
        graph.Node.Add(Graphs.Node("Identity", ["x"], ["y"]));
        return Graphs.Model(graph);
    }

    /// <summary>A pooling whose window is almost as large as its image: n^4/16 comparisons in a single operator, in little memory.</summary>
    private static ModelProto LongOperator(int size)
    {
        var graph = new GraphProto { Name = "long" };
        graph.Input.Add(Graphs.Value("x", DataType.Float, [1], axis: ""));
        graph.Output.Add(Graphs.Value("y", DataType.Float, [1, 1, -1, -1], axis: ""));
        graph.Initializer.Add(Graphs.Longs("size", 1, 1, size, size));
        graph.Node.Add(Graphs.Node("Expand", ["x", "size"], ["image"]));
        var pool = Graphs.Node("MaxPool", ["image"], ["y"]);
        pool.Attribute.Add(new AttributeProto { Name = "kernel_shape", Type = AttributeProto.Types.AttributeType.Ints, Ints = { size / 2, size / 2 } });
        graph.Node.Add(pool);
        return Graphs.Model(graph);
    }

    private static ModelProto Expanded(bool fromValues)
    {
        var graph = new GraphProto { Name = "expanded" };
        graph.Input.Add(Graphs.Value("x", DataType.Float, [-1, 1]));
        graph.Output.Add(Graphs.Value("y", DataType.Float, [-1, -1]));
        var cast = Graphs.Node("Cast", ["x"], ["whole"]);
        cast.Attribute.Add(new AttributeProto { Name = "to", Type = AttributeProto.Types.AttributeType.Int, I = (long)DataType.Int64 });
        graph.Node.Add(cast);
        graph.Node.Add(Graphs.Node("Shape", ["whole"], ["shape"]));
        graph.Node.Add(Graphs.Node("Abs", [fromValues ? "whole" : "shape"], ["to"]));
        graph.Node.Add(Graphs.Node("Expand", ["x", "to"], ["y"]));
        return Graphs.Model(graph);
    }
}
