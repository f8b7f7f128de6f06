using QueueMaaS.Contracts;
using QueueMaaS.Inference.Preparation;
using QueueMaaS.Onnx;
using static QueueMaaS.Onnx.TensorProto.Types;

namespace QueueMaaS.Inference.Tests;

public sealed class ModelHostTests : IAsyncLifetime
{
    private readonly TempFolder _folder = new();
    private readonly ModelHost _host = new(new() { MaxLoadedModels = 2 });

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        await _host.DisposeAsync();
        _folder.Dispose();
    }

    [Fact]
    public async Task A_linear_model_gives_its_numbers()
    {
        var output = await _host.InferAsync(Graphs.Linear().Serve(_folder), Samples.Tensor("x", "FP32", [2, 2], "[1,2,3,4]"));

        var y = output.Outputs.ShouldNotBeNull().ShouldHaveSingleItem();
        y.Shape.ShouldBe([2L, 3]);
        Samples.ToFloats(y).ShouldBe([9.5f, 12.5f, 15.5f, 19.5f, 26.5f, 33.5f]);
        output.Batch.Size.ShouldBe(2);
        output.Labels.ShouldBeNull();
    }

    [Theory]
    [InlineData(DataType.String, "BYTES", "[\"a\",\"ß\",\"\",\"d\"]")]
    [InlineData(DataType.Int64, "INT64", "[1,-2,9007199254740993,4]")]
    [InlineData(DataType.Bool, "BOOL", "[true,false,false,true]")]
    [InlineData(DataType.Float16, "FP16", "[1,0.5,-2,4]")]
    [InlineData(DataType.Uint8, "UINT8", "[1,2,3,255]")]
    [InlineData(DataType.Double, "FP64", "[1,0.1,3,1E+300]")]
    public async Task Every_kind_of_element_goes_through_a_model(DataType type, string datatype, string json)
    {
        var output = await _host.InferAsync(Graphs.Identity(type, -1, 2).Serve(_folder), Samples.Tensor("x", datatype, [2, 2], json));

        output.Outputs![0].Data.GetRawText().ShouldBe(json);
    }

    [Fact]
    public async Task Several_inputs_may_come_in_any_order_and_outputs_be_chosen()
    {
        var model = Graphs.TwoInputs().Serve(_folder);
        var request = _host.Prepare(model, Samples.Request(Samples.Tensor("b", "FP32", [1, 2], "[1,2]"), Samples.Tensor("a", "FP32", [1, 2], "[5,5]")));

        var output = await _host.InferAsync(model, request, new() { Outputs = ["difference"] });

        Samples.ToFloats(output.Outputs!.ShouldHaveSingleItem()).ShouldBe([4f, 3]);
    }

    [Fact]
    public async Task One_bad_index_among_many_callers_fails_alone_with_the_runtimes_reason()
    {
        var model = Graphs.HiddenLookup().Serve(_folder);
        var calls = Enumerable.Range(0, 64).Select(i => _host.InferAsync(model, Samples.Tensor("index", "INT64", [1], i == 20 ? "[99]" : $"[{i % 10}]"))).ToList();

        var problem = await Samples.ShouldFailAsync(calls[20], ProblemCodes.ModelExecutionFailed);

        problem.Message.ShouldContain("99");
        problem.Message.ShouldNotContain(".cc");
        for (var i = 0; i < calls.Count; i++)
        {
            if (i != 20)
                Samples.ToFloats((await calls[i]).Outputs![0]).ShouldBe([i % 10 * 1.5f]);
        }
    }

    [Theory]
    [InlineData(10)]
    [InlineData(-11)]
    public void An_index_beyond_the_table_is_refused_before_it_comes_into_a_batch(long index)
    {
        var model = Graphs.Lookup().Serve(_folder);

        var problem = Should.Throw<ProblemException>(() => _host.Prepare(model, Samples.Request(Samples.Tensor("index", "INT64", [3], $"[1,9,{index}]")))).Problem;

        problem.Code.ShouldBe(ProblemCodes.InvalidValue);
        problem.Message.ShouldContain($"{index} at place 2");
        problem.Message.ShouldContain("from -10 to 9");
    }

    [Fact]
    public async Task A_model_with_a_fixed_batch_axis_runs_singly()
    {
        var model = Graphs.Identity(DataType.Float, 1, 3).Serve(_folder);

        var outputs = await Task.WhenAll(Enumerable.Range(0, 8).Select(i => _host.InferAsync(model, Samples.Tensor("x", "FP32", [1, 3], $"[{i},1,2]"))));

        for (var i = 0; i < outputs.Length; i++)
        {
            Samples.ToFloats(outputs[i].Outputs![0])[0].ShouldBe(i);
            outputs[i].Batch.ClosedBecause.ShouldBe("single");
        }
    }

    [Fact]
    public async Task A_model_whose_rows_do_not_come_back_one_for_one_is_found_out_and_runs_singly()
    {
        var model = Graphs.SumOfRows().Serve(_folder);

        var outputs = await Task.WhenAll(Enumerable.Range(0, 8).Select(i => _host.InferAsync(model, Samples.Tensor("x", "FP32", [2, 2], $"[{i},1,2,3]"))));

        for (var i = 0; i < outputs.Length; i++)
            Samples.ToFloats(outputs[i].Outputs![0]).ShouldBe([i + 2f, 4]);
    }

    [Fact]
    public async Task Requests_of_different_lengths_have_lanes_of_their_own()
    {
        var model = Graphs.Identity(DataType.Float, -1, -1).Serve(_folder);

        await Task.WhenAll(Enumerable.Range(0, 60).Select(async i =>
        {
            var length = 1 + i % 3;
            var output = await _host.InferAsync(model, Samples.Tensor("x", "FP32", [1, length], $"[{string.Join(',', Enumerable.Repeat(i, length))}]"));
            output.Outputs![0].Shape.ShouldBe([1L, length]);
            Samples.ToFloats(output.Outputs[0]).ShouldAllBe(v => v == i);
        }));
    }

    [Fact]
    public async Task A_request_of_no_rows_has_an_answer_of_no_rows()
    {
        var output = await _host.InferAsync(Graphs.Linear().Serve(_folder), Samples.Tensor("x", "FP32", [0, 2], "[]"));

        output.Outputs![0].Shape.ShouldBe([0L, 3]);
    }

    [Fact]
    public async Task Labels_are_ranked_by_probability()
    {
        var model = Graphs.Linear().Serve(_folder, pipeline: new() { Labels = ["low", "middle", "high"] });

        var request = _host.Prepare(model, Samples.Request(Samples.Tensor("x", "FP32", [2, 2], "[1,0,-1,0]")));
        var output = await _host.InferAsync(model, request, new() { TopK = 2 });

        output.Labels!.Count.ShouldBe(2);
        output.Labels[0].Select(l => l.Label).ShouldBe(["high", "middle"]);
        output.Labels[0][0].Score.ShouldBe(Math.Exp(3) / (Math.Exp(1) + Math.Exp(2) + Math.Exp(3)), 1e-6);
        output.Labels[1].Select(l => l.Label).ShouldBe(["low", "middle"]);
        output.Outputs.ShouldNotBeNull();
    }

    [Fact]
    public async Task Images_are_prepared_as_the_pipeline_says_and_each_has_its_own_result()
    {
        var model = Graphs.Identity(DataType.Float, -1, 1, 1, 2).Serve(
            _folder, pipeline: new() { Image = new(2, 1, 1, [0.5], [0.5]), Labels = ["left", "right"] }, batching: new(MaxBatchSize: 4));
        var pixels = Enumerable.Range(0, 20).SelectMany(i => i % 2 == 0 ? new byte[] { 255, 0 } : [0, 255]).ToArray();

        var rows = await Task.WhenAll(Enumerable.Range(0, 20).Select(i => _host.InferAsync(model, _host.PreparePixels(model, pixels.AsSpan(2 * i, 2)), new() { TopK = 1 })));
        var withOutputs = await _host.InferAsync(model, _host.PreparePixels(model, pixels.AsSpan(0, 2)), new() { Outputs = ["y"] });

        rows.Select(r => r.Labels!.ShouldHaveSingleItem().ShouldHaveSingleItem().Label).ShouldBe(Enumerable.Range(0, 20).Select(i => i % 2 == 0 ? "left" : "right"));
        rows.ShouldAllBe(r => r.Outputs == null);
        Samples.ToFloats(withOutputs.Outputs![0]).ShouldBe([1f, -1]);
    }

    [Fact]
    public async Task Loaded_models_are_shared_and_the_least_recently_used_goes_first()
    {
        var models = Enumerable.Range(1, 3).Select(v => Graphs.Linear().Serve(_folder, version: v)).ToList();
        var x = Samples.Tensor("x", "FP32", [1, 2], "[1,2]");

        await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => _host.InferAsync(models[0], x)));
        _host.LoadedModels.ShouldBe(1);
        foreach (var model in models.Concat(models))
            await _host.InferAsync(model, x);

        _host.LoadedModels.ShouldBe(2);
    }

    [Fact]
    public async Task A_model_that_could_not_be_loaded_is_tried_again()
    {
        var model = Graphs.Linear().Serve(_folder);
        var good = await File.ReadAllBytesAsync(model.Path);
        await File.WriteAllBytesAsync(model.Path, [1, 2, 3]);
        var x = Samples.Tensor("x", "FP32", [1, 2], "[1,2]");

        await Samples.ShouldFailAsync(_host.InferAsync(model, x), ProblemCodes.NotAnOnnxModel);
        await File.WriteAllBytesAsync(model.Path, good);

        (await _host.InferAsync(model, x)).Outputs.ShouldNotBeNull();
    }

    [Fact]
    public async Task Identical_requests_share_a_computation_or_get_the_kept_answer_where_the_version_says_so()
    {
        var time = new Microsoft.Extensions.Time.Testing.FakeTimeProvider();
        await using var host = new ModelHost(new(), time);
        var cached = Graphs.Identity(DataType.Float, -1, 2).Serve(_folder, new() { CacheSeconds = 60 }, name: "cached");
        var shared = Graphs.Identity(DataType.Float, -1, 2).Serve(_folder, new() { ShareIdentical = true, MaxQueueDelayMs = 1000 }, name: "shared");
        var x = Samples.Tensor("x", "FP32", [1, 2], "[1, 2]");

        (await host.InferAsync(cached, x)).Batch.Cached.ShouldBeFalse();
        var again = await host.InferAsync(cached, x);
        again.Batch.Cached.ShouldBeTrue();
        Samples.ToFloats(again.Outputs![0]).ShouldBe([1f, 2f]);
        (await host.InferAsync(cached, Samples.Tensor("x", "FP32", [1, 2], "[1, 3]"))).Batch.Cached.ShouldBeFalse();
        time.Advance(TimeSpan.FromSeconds(61));
        (await host.InferAsync(cached, x)).Batch.Cached.ShouldBeFalse();

        await host.LoadAsync(shared);
        var calls = Enumerable.Range(0, 5).Select(_ => host.InferAsync(shared, x)).ToList();
        time.Advance(TimeSpan.FromSeconds(1));
        var answers = await Task.WhenAll(calls);
        answers.Count(a => a.Batch.Shared).ShouldBe(4);
        answers.ShouldAllBe(a => a.Batch.Size == 1 && Samples.ToFloats(a.Outputs![0])[1] == 2f);
    }

    [Fact]
    public async Task A_shared_computation_goes_on_for_the_others_when_a_caller_goes_away()
    {
        var time = new Microsoft.Extensions.Time.Testing.FakeTimeProvider();
        await using var host = new ModelHost(new(), time);
        var model = Graphs.Identity(DataType.Float, -1, 2).Serve(_folder, new() { ShareIdentical = true, MaxQueueDelayMs = 1000 });
        await host.LoadAsync(model);
        using var cancel = new CancellationTokenSource();
        var request = host.Prepare(model, Samples.Request(Samples.Tensor("x", "FP32", [1, 2], "[1, 2]")));

        var leader = host.InferAsync(model, request, new(), cancel.Token);
        var follower = host.InferAsync(model, request, new());
        await cancel.CancelAsync();
        await Should.ThrowAsync<OperationCanceledException>(leader);
        time.Advance(TimeSpan.FromSeconds(1));

        (await follower).Batch.Size.ShouldBe(1);
    }

    [Fact]
    public async Task Inputs_that_are_not_finite_are_refused_where_the_version_says_so()
    {
        var model = Graphs.Identity(DataType.Float, -1, 2).Serve(_folder, new() { RejectNonFinite = true });
        var bad = _host.Prepare(model, [Samples.Floats("x", [1, 2], 1, float.PositiveInfinity)]);

        (await Samples.ShouldFailAsync(_host.RunAsync(model, bad, new()), ProblemCodes.InvalidValue)).Message.ShouldContain("place 1");
    }

    [Fact]
    public async Task Models_beyond_the_memory_budget_are_unloaded_the_longest_unused_first()
    {
        var models = Enumerable.Range(1, 3).Select(v => Graphs.Identity(DataType.Float, -1, 2).Serve(_folder, name: "budget", version: v)).ToArray();
        await using var host = new ModelHost(new() { MaxLoadedBytes = (2 * new FileInfo(models[0].Path).Length) + 1 });
        foreach (var model in models)
            await host.LoadAsync(model);

        host.LoadedModels.ShouldBe(2);
        host.IsLoaded(models[0]).ShouldBeFalse();
        host.IsLoaded(models[2]).ShouldBeTrue();
    }

    [Fact]
    public void Options_outside_their_range_are_refused() => Should.Throw<System.ComponentModel.DataAnnotations.ValidationException>(() => new ModelHost(new() { Instances = 65 }));

    [Fact]
    public void Requests_that_make_no_sense_are_refused_before_anything_is_loaded()
    {
        var signature = new ModelSignature([new("x", "FP32", [-1, 3, 2, 2])], [new("y", "FP32", [-1, 4])]);
        var images = new ModelPipeline { Image = new(2, 2, 3) };
        var image = new ImageSource { Base64 = "AAAA" };
        var input = new InferenceInput { Model = "m", Image = image };

        InferenceRequestCheck.Check(signature, images, input);
        Refuse(images, input with { Image = null }, ProblemCodes.InvalidRequest);
        Refuse(images, input with { Inputs = [] }, ProblemCodes.InvalidRequest);
        Refuse(null, input, ProblemCodes.ImageInputUnsupported);
        Refuse(new() { Image = new(3, 3, 3) }, input, ProblemCodes.ImageInputUnsupported);
        Refuse(images, input with { Image = new() }, ProblemCodes.InvalidRequest);
        Refuse(images, input with { Image = new() { Base64 = "not base64!" } }, ProblemCodes.InvalidValue);
        Refuse(images, input with { Image = new() { Base64 = "AAAA", Artifact = "sha256:0" } }, ProblemCodes.InvalidRequest);
        Refuse(images, input with { TopK = 0 }, ProblemCodes.InvalidValue);
        Refuse(images, input with { TopK = 101 }, ProblemCodes.InvalidValue);
        Refuse(images, input with { Outputs = ["z"] }, ProblemCodes.TensorNameMismatch);

        void Refuse(ModelPipeline? pipeline, InferenceInput bad, string code) => Samples.ShouldFail(() => InferenceRequestCheck.Check(signature, pipeline, bad), code);
    }

    [Fact]
    public void Inputs_with_different_numbers_of_rows_are_refused()
    {
        var model = Graphs.TwoInputs().Serve(_folder);

        Samples.ShouldFail(
            () => _host.Prepare(model, Samples.Request(Samples.Tensor("a", "FP32", [1, 2], "[1,2]"), Samples.Tensor("b", "FP32", [2, 2], "[1,2,3,4]"))),
            ProblemCodes.TensorShapeMismatch);
    }

    [Fact]
    public void A_file_that_is_no_image_is_refused()
    {
        var model = Graphs.Identity(DataType.Float, -1, 3, 2, 2).Serve(_folder, pipeline: new() { Image = new(2, 2, 3) });

        Samples.ShouldFail(() => _host.Prepare(model, new InferenceInput() { Model = "m", Image = new() { Base64 = "AAAA" } }), ProblemCodes.ImageUnreadable);
    }
}
