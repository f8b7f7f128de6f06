using QueueMaaS.Contracts;
using QueueMaaS.Inference.Models;
using QueueMaaS.Inference.Preparation;
using static QueueMaaS.Onnx.TensorProto.Types;

namespace QueueMaaS.Inference.Tests;

public sealed class RaggedAxisTests : IAsyncLifetime
{
    private static readonly RaggedAxis Ragged = new() { Inputs = [new("x")], Mask = new("mask"), Lengths = [4, 8], Outputs = [new("y")] };

    private readonly TempFolder _folder = new();
    private readonly Microsoft.Extensions.Time.Testing.FakeTimeProvider _time = new();
    private readonly ModelHost _host;

    public RaggedAxisTests() => _host = new(new(), _time);

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        await _host.DisposeAsync();
        _folder.Dispose();
    }

    [Fact]
    public async Task Requests_of_different_lengths_share_a_batch_and_each_gets_its_own_length_back()
    {
        var model = Graphs.MaskedProduct().Serve(_folder, new() { MaxQueueDelayMs = 1000, Ragged = Ragged });
        await _host.LoadAsync(model);

        var two = _host.InferAsync(model, Samples.Tensor("x", "FP32", [1, 2], "[1, 2]"));
        var three = _host.InferAsync(model, Samples.Tensor("x", "FP32", [1, 3], "[3, 4, 5]"), Samples.Tensor("mask", "FP32", [1, 3], "[1, 1, 0]"));
        var long1 = _host.InferAsync(model, Samples.Tensor("x", "FP32", [1, 9], "[1, 2, 3, 4, 5, 6, 7, 8, 9]"));
        _time.Advance(TimeSpan.FromSeconds(1));

        (await two).Batch.Size.ShouldBe(2);
        Samples.ToFloats((await two).Outputs![0]).ShouldBe([1f, 2f]);
        (await three).Outputs![0].Shape.ShouldBe([1L, 3]);
        Samples.ToFloats((await three).Outputs![0]).ShouldBe([3f, 4f, 0f]);
        (await long1).Batch.Size.ShouldBe(1);
        (await long1).Outputs![0].Shape.ShouldBe([1L, 9]);
    }

    [Fact]
    public void A_model_that_heeds_its_mask_is_padded_and_one_that_does_not_is_not_and_says_why()
    {
        var good = new OnnxModelInspector().Inspect(Graphs.MaskedProduct().Save(_folder.File("good.onnx")), new() { Ragged = Ragged }).Padding!;
        var bad = new OnnxModelInspector().Inspect(Graphs.MeanOverAxis().Save(_folder.File("bad.onnx")), new() { Ragged = new() { Inputs = [new("x")], Lengths = [8] } }).Padding!;

        good.Batched.ShouldBeTrue(good.Reason);
        good.MaxDeviation.ShouldBe(0d);
        bad.Batched.ShouldBeFalse();
        bad.Reason.ShouldContain("Padding changes answers");
        new ServedModel("m", 1, "p", new([], []), null, new() { Ragged = Ragged }, new() { Padding = bad }).IsPadded.ShouldBeFalse();
    }

    [Fact]
    public async Task Without_padding_each_length_is_computed_as_it_is()
    {
        var model = Graphs.MeanOverAxis().Serve(_folder, new() { Ragged = new() { Inputs = [new("x")], Lengths = [8] } });
        var unpadded = model with { Card = new() { Padding = new(false, "tried") } };

        Samples.ToFloats((await _host.InferAsync(unpadded, Samples.Tensor("x", "FP32", [1, 4], "[1, 2, 3, 4]"))).Outputs![0]).ShouldBe([2.5f]);
    }

    [Theory]
    [InlineData("z", 1, "inputs")]
    [InlineData("x", 2, "inputs")]
    [InlineData("x", 0, "inputs")]
    public void An_axis_that_is_not_there_is_refused(string input, int axis, string member) => Refused(new() { Inputs = [new(input, axis)], Lengths = [8] }, member);

    [Theory]
    [InlineData("""{"inputs":null,"lengths":[8]}""", "inputs")]
    [InlineData("""{"inputs":[null],"lengths":[8]}""", "inputs")]
    [InlineData("""{"inputs":[{"name":"x"},{"name":"x"}],"lengths":[8]}""", "inputs")]
    [InlineData("""{"inputs":[{"name":"x"}],"lengths":null}""", "lengths")]
    [InlineData("""{"inputs":[{"name":"x"}],"lengths":[8],"outputs":[null]}""", "outputs")]
    public void What_is_left_empty_is_refused(string json, string member) =>
        Refused(System.Text.Json.JsonSerializer.Deserialize<RaggedAxis>(json, QueueMaaSJson.Relaxed)!, member);

    [Fact]
    public void A_card_says_so_where_padding_changes_a_shape_and_no_number_can_say_by_how_much()
    {
        // The output has the ragged axis, and is not named among those that are cut.
        var padding = new OnnxModelInspector().Inspect(Graphs.MaskedProduct().Save(_folder.File("uncut.onnx")), new() { Ragged = new() { Inputs = [new("x")], Mask = new("mask"), Lengths = [8] } }).Padding!;
        padding.Reason.ShouldContain("outputs that have the axis");
        // JSON has no infinity, so the serializer would refuse it.
        System.Text.Json.JsonSerializer.Serialize(padding, QueueMaaSJson.Relaxed).ShouldNotContain("maxDeviation");
    }

    [Fact]
    public void Lengths_must_ascend() => Refused(new() { Inputs = [new("x")], Lengths = [8, 4] }, "lengths");

    [Fact]
    public void Inputs_of_different_lengths_are_refused()
    {
        var model = Graphs.MaskedProduct().Serve(_folder, new() { Ragged = Ragged });

        Samples.ShouldFail(
            () => _host.Prepare(model, Samples.Request(Samples.Tensor("x", "FP32", [1, 2], "[1, 2]"), Samples.Tensor("mask", "FP32", [1, 3], "[1, 1, 1]"))),
            ProblemCodes.TensorShapeMismatch);
    }

    private static void Refused(RaggedAxis ragged, string member)
    {
        var signature = new ModelSignature([new("x", "FP32", [-1, -1])], [new("y", "FP32", [-1, -1])]);
        Samples.ShouldFail(() => BatchingCheck.Check(new() { Ragged = ragged }, signature), ProblemCodes.InvalidValue).Message.ShouldContain($"batching.ragged.{member}");
    }
}
