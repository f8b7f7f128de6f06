using QueueMaaS.Contracts;
using QueueMaaS.Inference.Models;
using QueueMaaS.Jobs.Catalog;
using QueueMaaS.Onnx;
using static QueueMaaS.Onnx.TensorProto.Types;

namespace QueueMaaS.Inference.Tests;

public sealed class ModelInspectionTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Signature_tells_names_datatypes_and_free_axes()
    {
        var inspection = Inspect(Graphs.TwoInputs());

        inspection.Batch.Batched.ShouldBeTrue();
        inspection.Signature.Inputs.Select(i => i.Name).ShouldBe(["a", "b"]);
        inspection.Signature.Inputs[0].Datatype.ShouldBe(Datatypes.Fp32);
        inspection.Signature.Inputs[0].Shape.ShouldBe([-1L, 2]);
        inspection.Signature.Outputs.Select(o => o.Name).ShouldBe(["sum", "difference"]);
    }

    [Fact]
    public void Bounds_of_an_index_are_read_from_the_table_that_it_looks_into()
    {
        var input = Inspect(Graphs.Lookup()).Signature.Inputs.ShouldHaveSingleItem();
        (input.Minimum, input.Maximum).ShouldBe((-10, 9));
        Inspect(Graphs.HiddenLookup()).Signature.Inputs.ShouldHaveSingleItem().Maximum.ShouldBeNull("what the graph makes of the index is not known");
    }

    [Theory]
    [InlineData(3)]
    [InlineData(8)]
    public void Weights_listed_among_the_inputs_are_not_inputs(int irVersion)
    {
        var model = Graphs.Linear(weightsAmongInputs: true);
        model.IrVersion = irVersion;

        Inspect(model).Signature.Inputs.ShouldHaveSingleItem().Name.ShouldBe("x");
    }

    [Fact]
    public void A_model_whose_rows_alone_give_no_number_runs_singly_and_its_card_can_be_written()
    {
        // (x − mean) ÷ variance over the batch: nothing by nothing for a row alone.
        var model = Graphs.CentredOverBatch();
        model.Graph.Node[1].Output[0] = "centred";
        model.Graph.Node.Add(Graphs.Node("Mul", ["centred", "centred"], ["squares"]));
        var variance = Graphs.Node("ReduceMean", ["squares"], ["variance"]);
        variance.Name = "variance";
        variance.Attribute.Add(model.Graph.Node[0].Attribute);
        model.Graph.Node.Add(variance);
        model.Graph.Node.Add(Graphs.Node("Div", ["centred", "variance"], ["y"]));

        var inspection = Inspect(model);

        inspection.Batch.Batched.ShouldBeFalse();
        inspection.Batch.Reason.ShouldContain("Rows influence each other");
        // JSON has no infinity, so the serializer would refuse it.
        System.Text.Json.JsonSerializer.Serialize(inspection.Batch, QueueMaaSJson.Relaxed).ShouldNotContain("maxDeviation");
        inspection.Isolation!.Isolated.ShouldBeFalse("it divides, but no whole numbers");
    }

    [Fact]
    public void A_fixed_first_axis_means_no_batches() => Inspect(Graphs.Identity(DataType.Float, 1, 3)).Batch.Batched.ShouldBeFalse();

    [Fact]
    public void An_output_with_another_named_first_axis_means_no_batches()
    {
        var model = Graphs.Identity();
        model.Graph.Output[0] = Graphs.Value("y", DataType.Float, [-1, 3], axis: "boxes");

        Inspect(model).Batch.Batched.ShouldBeFalse();
    }

    [Fact]
    public void An_output_whose_axis_name_an_exporter_made_up_may_be_batched()
    {
        var model = Graphs.Identity();
        model.Graph.Output[0] = Graphs.Value("y", DataType.Float, [-1, 3], axis: "Gemmoutput_dim_0");

        Inspect(model).Batch.Batched.ShouldBeTrue();
    }

    [Theory]
    [InlineData("Frobnicate", "")]
    [InlineData("Whirl", "com.example")]
    public void An_unknown_operator_is_named(string operation, string domain)
    {
        var problem = Samples.ShouldFail(() => Inspect(Graphs.WithOperator(operation, domain)), ProblemCodes.UnsupportedOperator);

        problem.Message.ShouldContain(operation);
        problem.Details!["operator"].GetString()!.ShouldContain(operation);
    }

    [Fact]
    public void A_model_of_a_newer_opset_is_told_which_it_needs_and_which_would_do()
    {
        var model = Graphs.Identity();
        model.OpsetImport[0].Version = 999;

        Samples.ShouldFail(() => Inspect(model), ProblemCodes.UnsupportedOperator).Message.ShouldMatch(@"^The model needs opset 999, and ONNX Runtime [\d.]+ knows up to (\d+)\. Export it with opset \1 or lower \(in PyTorch: torch\.onnx\.export\(…, opset_version=\1\)\)\.$");
    }

    [Fact]
    public void A_model_in_a_newer_file_format_is_told_which_would_do()
    {
        var model = Graphs.Identity();
        model.IrVersion = 999;

        Samples.ShouldFail(() => Inspect(model), ProblemCodes.UnsupportedOperator).Message.ShouldMatch(@"version 999 of the ONNX file format \(IR version\), and ONNX Runtime [\d.]+ reads up to (\d+)\. .* `ir_version` set to \1\.$");
    }

    [Fact]
    public void A_model_with_random_operators_is_said_to_answer_differently_every_time_and_not_to_mix_its_rows()
    {
        var model = Graphs.Identity();
        model.Graph.Node[0].Output[0] = "same";
        model.Graph.Node.Add(Graphs.Node("RandomNormalLike", ["x"], ["noise"]));
        model.Graph.Node.Add(Graphs.Node("Add", ["same", "noise"], ["y"]));

        var check = Inspect(model).Batch;

        check.Batched.ShouldBeFalse();
        check.Reason.ShouldStartWith("The model gives the same row another answer each time (it draws numbers by chance: RandomNormalLike)");
    }

    [Fact]
    public void External_data_is_refused() => Samples.ShouldFail(() => Inspect(Graphs.WithExternalData()), ProblemCodes.ExternalDataMissing);

    [Fact]
    public void A_model_cut_in_half_is_refused()
    {
        var path = Graphs.Linear().Save(_folder.File("cut.onnx"));
        var bytes = File.ReadAllBytes(path);
        File.WriteAllBytes(path, bytes[..(bytes.Length / 2)]);

        Samples.ShouldFail(() => new OnnxModelInspector().Inspect(path), ProblemCodes.NotAnOnnxModel);
    }

    [Fact]
    public void A_graph_that_does_not_hold_together_is_refused_without_paths()
    {
        var model = Graphs.Identity();
        model.Graph.Node[0].Input[0] = "nowhere";

        Samples.ShouldFail(() => Inspect(model), ProblemCodes.NotAnOnnxModel).Message.ShouldNotContain(".cc");
    }

    [Fact]
    public void A_datatype_that_the_protocol_lacks_is_refused() =>
        Samples.ShouldFail(() => Inspect(Graphs.Identity(DataType.Bfloat16, -1, 2)), ProblemCodes.UnsupportedOperator).Message.ShouldContain("FP32");

    [Fact]
    public void A_row_that_gets_the_same_answer_in_every_batch_is_said_to()
    {
        var batch = Inspect(Graphs.Linear()).Batch;

        batch.Batched.ShouldBeTrue();
        batch.MaxDeviation.ShouldNotBeNull().ShouldBeLessThan(1e-5);
        batch.Sizes.ShouldBe([1, 2, 3, 4, 32]);
    }

    [Fact]
    public void Rows_that_influence_each_other_are_found_though_every_shape_fits()
    {
        var batch = Inspect(Graphs.CentredOverBatch()).Batch;

        batch.Batched.ShouldBeFalse();
        batch.MaxDeviation.ShouldNotBeNull().ShouldBeGreaterThan(0.01);
        batch.Reason.ShouldContain("influence");
    }

    [Fact]
    public void Outputs_without_a_row_for_each_input_row_are_found()
    {
        var batch = Inspect(Graphs.SumOfRows()).Batch;

        batch.Batched.ShouldBeFalse();
        batch.Reason.ShouldContain("no free batch axis");
    }

    [Theory]
    [InlineData(DataType.Int64)]
    [InlineData(DataType.Float16)]
    [InlineData(DataType.Bool)]
    [InlineData(DataType.String)]
    public void Every_datatype_can_be_tried(DataType type) => Inspect(Graphs.Identity(type)).Batch.MaxDeviation.ShouldBe(0);

    [Fact]
    public void A_free_axis_is_tried_at_a_size_that_the_model_takes() => Inspect(Graphs.Identity(DataType.Float, -1, -1, 3)).Batch.MaxDeviation.ShouldBe(0);

    private ModelInspection Inspect(ModelProto model) => new OnnxModelInspector().Inspect(model.Save(_folder.File("model.onnx")));
}
