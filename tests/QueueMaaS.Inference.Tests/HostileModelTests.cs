using System.Diagnostics;
using QueueMaaS.Contracts;
using QueueMaaS.Inference.Models;
using QueueMaaS.Onnx;
using static QueueMaaS.Onnx.TensorProto.Types;

namespace QueueMaaS.Inference.Tests;

/// <summary>Models that are made to take a worker from the others.</summary>
public sealed class HostileModelTests : IAsyncLifetime
{
    private readonly TempFolder _folder = new();
    private readonly ModelHost _host = new(new() { RunTimeout = TimeSpan.FromSeconds(1), Instances = 1 });

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        await _host.DisposeAsync();
        _folder.Dispose();
    }

    [Fact]
    public async Task A_loop_without_an_end_is_stopped_others_are_served_meanwhile_and_soon_it_is_refused_at_once()
    {
        var (endless, good) = (EndlessLoop().Serve(_folder, name: "endless"), Graphs.Linear().Serve(_folder, name: "good"));
        await _host.InferAsync(good, Samples.Tensor("x", "FP32", [1, 2], "[1,2]"));
        for (var run = 0; run < Sessions.RunGuard.MostInARow; run++)
        {
            var looping = _host.InferAsync(endless, Samples.Tensor("x", "FP32", [1, 2], "[1,2]"));
            var clock = Stopwatch.StartNew();
            Samples.ToFloats((await _host.InferAsync(good, Samples.Tensor("x", "FP32", [1, 2], "[1,2]"))).Outputs!.Single()).ShouldBe([9.5f, 12.5f, 15.5f]);
            clock.Elapsed.ShouldBeLessThan(TimeSpan.FromSeconds(1), "the other model is not waited for");
            await Samples.ShouldFailAsync(looping, ProblemCodes.ModelRunTimeout);
        }

        var refused = Stopwatch.StartNew();
        await Samples.ShouldFailAsync(_host.InferAsync(endless, Samples.Tensor("x", "FP32", [1, 2], "[1,2]")), ProblemCodes.ModelResting);
        refused.Elapsed.ShouldBeLessThan(TimeSpan.FromMilliseconds(500));
    }

    [Fact]
    public async Task A_tensor_larger_than_any_memory_fails_its_request_only()
    {
        // 2^42 numbers, 16 TiB, as soon as it is computed.
        var huge = HugeConstant(1L << 42).Serve(_folder, name: "huge");
        var problem = await Should.ThrowAsync<ProblemException>(_host.InferAsync(huge, Samples.Tensor("x", "FP32", [1, 2], "[1,2]")));
        problem.Problem.Code.ShouldBeOneOf(ProblemCodes.OutOfMemory, ProblemCodes.ModelExecutionFailed, ProblemCodes.NotAnOnnxModel);
        Samples.ToFloats((await _host.InferAsync(Graphs.Linear().Serve(_folder, name: "good"), Samples.Tensor("x", "FP32", [1, 2], "[1,2]"))).Outputs!.Single()).ShouldBe([9.5f, 12.5f, 15.5f]);
    }

    [Theory]
    [InlineData(90)]
    [InlineData(2000)]
    public void Graphs_within_graphs_are_refused_and_do_not_end_the_process(int depth)
    {
        var file = _folder.File($"nested{depth}.onnx");
        File.WriteAllBytes(file, Nested(depth));
        Should.Throw<ProblemException>(() => new OnnxModelInspector().Inspect(file)).Problem.Code.ShouldBeOneOf(ProblemCodes.NotAnOnnxModel, ProblemCodes.UnsupportedOperator, ProblemCodes.InvalidValue);
    }

    /// <summary>y = x added to itself for as long as true is true.</summary>
    internal static ModelProto EndlessLoop()
    {
        var body = new GraphProto { Name = "body" };
        body.Input.Add(Graphs.Value("iteration", DataType.Int64, []));
        body.Input.Add(Graphs.Value("going", DataType.Bool, []));
        body.Input.Add(Graphs.Value("v", DataType.Float, [-1, 2]));
        body.Output.Add(Graphs.Value("go_on", DataType.Bool, []));
        body.Output.Add(Graphs.Value("w", DataType.Float, [-1, 2]));
        body.Node.Add(Graphs.Node("Identity", ["going"], ["go_on"]));
        body.Node.Add(Graphs.Node("Add", ["v", "v"], ["w"]));
        var graph = new GraphProto { Name = "endless" };
        graph.Input.Add(Graphs.Value("x", DataType.Float, [-1, 2]));
        graph.Output.Add(Graphs.Value("y", DataType.Float, [-1, 2]));
        graph.Initializer.Add(new TensorProto { Name = "yes", DataType = (int)DataType.Bool, RawData = Google.Protobuf.ByteString.CopyFrom(1) });
        var loop = Graphs.Node("Loop", ["", "yes", "x"], ["y"]);
        loop.Attribute.Add(new AttributeProto { Name = "body", Type = AttributeProto.Types.AttributeType.Graph, G = body });
        graph.Node.Add(loop);
        return Graphs.Model(graph);
    }

    internal static ModelProto HugeConstant(long size)
    {
        var graph = new GraphProto { Name = "huge" };
        graph.Input.Add(Graphs.Value("x", DataType.Float, [-1, 2]));
        graph.Output.Add(Graphs.Value("y", DataType.Float, [-1, 2]));
        graph.Initializer.Add(Graphs.Longs("size", size));
        graph.Node.Add(Graphs.Node("ConstantOfShape", ["size"], ["zeros"]));
        var sum = Graphs.Node("ReduceMax", ["zeros"], ["most"]);
        sum.Attribute.Add(new AttributeProto { Name = "keepdims", Type = AttributeProto.Types.AttributeType.Int, I = 0 });
        graph.Node.Add(sum);
        graph.Node.Add(Graphs.Node("Add", ["x", "most"], ["y"]));
        return Graphs.Model(graph);
    }

    /// <summary>An If within an If within … as bytes: no writer of ours would go so deep.</summary>
    private static byte[] Nested(int depth)
    {
        // From the innermost graph outwards; each level is an attribute of a node of the next.
        var inner = new byte[] { 0x12, 0x01, (byte)'g' };
        for (var level = 0; level < depth; level++)
        {
            // AttributeProto: name = 1, g = 6, type = 20; NodeProto: attribute = 5, op_type = 4; GraphProto: node = 1.
            byte[] attribute = [0x0A, 11, .. "then_branch"u8, .. Field(6, inner), 0xA0, 0x01, 5];
            byte[] node = [.. Field(5, attribute), 0x22, 2, .. "If"u8];
            inner = Field(1, node);
        }

        // ModelProto: ir_version = 1, graph = 7, opset_import = 8.
        return [0x08, 8, .. Field(7, inner), .. Field(8, [0x10, 17])];
    }

    private static byte[] Field(int number, byte[] content)
    {
        var bytes = new List<byte> { (byte)((number << 3) | 2) };
        var length = content.Length;
        for (; length >= 0x80; length >>= 7)
            bytes.Add((byte)(length | 0x80));
        bytes.Add((byte)length);
        bytes.AddRange(content);
        return [.. bytes];
    }
}
