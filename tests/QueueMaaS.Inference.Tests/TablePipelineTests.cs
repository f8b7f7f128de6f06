using System.Text.Json;
using QueueMaaS.Contracts;
using QueueMaaS.Inference.Preparation;
using QueueMaaS.Inference.Tensors;
using QueueMaaS.Onnx;
using static QueueMaaS.Onnx.TensorProto.Types;

namespace QueueMaaS.Inference.Tests;

/// <summary>Rows of a table in, the model's numbers out.</summary>
public sealed class TablePipelineTests
{
    private static readonly ModelSignature SixNumbers = new([new("x", Datatypes.Fp32, [-1, 6])], [new("y", Datatypes.Fp32, [-1, 1])]);

    private static readonly TablePreparation People = new()
    {
        Columns =
        [
            new() { Name = "age", Kind = ColumnKind.Number, Mean = 40, Deviation = 10, Missing = JsonElement.Parse("40") },
            new() { Name = "income", Kind = ColumnKind.Number, Min = 0, Max = 200 },
            new() { Name = "city", Kind = ColumnKind.Category, Categories = ["bonn", "ulm"], Unknown = UnknownCategory.Reserved },
            new() { Name = "member", Kind = ColumnKind.Boolean },
        ],
    };

    [Fact]
    public void A_row_becomes_scaled_numbers_and_one_hot_categories_in_the_order_of_the_columns()
    {
        Encode("""{"age":50,"income":50,"city":"ulm","member":true}""").ShouldBe([1f, 0.25f, 0, 1, 0, 1]);
        Encode("""[30,0,"bonn",false]""").ShouldBe([-1f, 0, 1, 0, 0, 0]);
    }

    [Fact]
    public void A_missing_value_is_stood_in_for_and_an_unknown_category_has_its_own_place()
    {
        Encode("""{"income":200,"city":"köln","member":false}""").ShouldBe([0f, 1, 0, 0, 1, 0]);
        Encode("""{"age":null,"income":200,"city":"bonn","member":false}""").ShouldBe([0f, 1, 1, 0, 0, 0]);
    }

    [Fact]
    public void Several_rows_become_one_request_of_several_rows()
    {
        var input = new InferenceInput { Model = "m", Rows = [JsonElement.Parse("""[40,0,"bonn",false]"""), JsonElement.Parse("""[50,0,"bonn",false]""")] };

        var request = InferenceRequestCheck.Prepare(SixNumbers, new() { Table = People }, input, new());

        (request.Rows, request.FromPipeline).ShouldBe((2, true));
        request.Inputs[0].Shape.ShouldBe([2L, 6]);
        Samples.ToFloats(request.Inputs[0])[6].ShouldBe(1);
    }

    [Theory]
    [InlineData("""{"age":"old","income":1,"city":"ulm","member":true}""", "row.age", "takes a number, not the text 'old'")]
    [InlineData("""{"age":1,"income":1,"city":"ulm","member":1}""", "row.member", "takes true or false, not 1")]
    [InlineData("""{"age":1,"income":1,"city":{},"member":true}""", "row.city", "takes a text or a whole number")]
    [InlineData("""{"age":1,"city":"ulm","member":true}""", "row.income", "is missing")]
    [InlineData("""{"age":1,"income":1,"city":"ulm","member":true,"shoe":44}""", "row.shoe", "no column of the table")]
    [InlineData("""[1,2,"ulm"]""", "row", "3 values, but the table has 4 columns")]
    [InlineData("7", "row", "neither an object of column to value nor an array")]
    [InlineData("""{"age":1e400,"income":1,"city":"ulm","member":true}""", "row.age", "finite")]
    public void A_row_that_does_not_fit_is_refused_with_its_place(string row, string path, string reason)
    {
        var problem = Samples.ShouldFail(() => Encode(row), ProblemCodes.RowInvalid);

        problem.Details!["path"].GetString().ShouldBe(path);
        problem.Message.ShouldContain(reason);
    }

    [Fact]
    public void An_unknown_category_is_refused_with_the_known_ones_where_nothing_else_is_said()
    {
        var table = new TablePreparation { Columns = [new() { Name = "city", Kind = ColumnKind.Category, Categories = ["bonn", "ulm"], Encoding = CategoryEncoding.Index }] };
        var signature = new ModelSignature([new("x", Datatypes.Int64, [-1, 1])], [new("y", Datatypes.Fp32, [-1, 1])]);

        Encode(signature, table, """{"city":"ulm"}""").Bytes.Span[0].ShouldBe((byte)1);
        Samples.ShouldFail(() => Encode(signature, table, """{"city":"köln"}"""), ProblemCodes.RowInvalid).Message.ShouldContain("it knows 'bonn', 'ulm'");
    }

    [Fact]
    public void Columns_feed_several_inputs_and_texts_go_to_the_model_as_they_are()
    {
        var signature = new ModelSignature([new("numbers", Datatypes.Fp64, [-1, 1]), new("words", Datatypes.Bytes, [-1, 1])], [new("y", Datatypes.Fp32, [-1, 1])]);
        var table = new TablePreparation { Columns = [new() { Name = "word", Kind = ColumnKind.Category, Input = "words" }, new() { Name = "size", Kind = ColumnKind.Number, Log1p = true }] };

        var request = InferenceRequestCheck.Prepare(signature, new() { Table = table }, new() { Model = "m", Row = JsonElement.Parse("""{"word":"größer","size":0}""") }, new());

        request.Inputs[1].Texts.Span[0].ShouldBe("größer");
        BitConverter.ToDouble(request.Inputs[0].Bytes.Span).ShouldBe(0);
        Samples.ShouldFail(() => Encode(signature, table, """{"word":"a","size":-1}"""), ProblemCodes.RowInvalid).Message.ShouldContain("logarithm");
    }

    [Theory]
    [InlineData("""{"columns":[]}""", "columns")]
    [InlineData("""{"columns":[{"name":"a","kind":"number"},{"name":"a","kind":"number"}]}""", "columns[1].name")]
    [InlineData("""{"columns":[{"name":"a","kind":"number","input":"z"}]}""", "columns[0].input")]
    [InlineData("""{"columns":[{"name":"a","kind":"number","min":0}]}""", "columns[0].max")]
    [InlineData("""{"columns":[{"name":"a","kind":"number","min":1,"max":1}]}""", "columns[0].max")]
    [InlineData("""{"columns":[{"name":"a","kind":"number","min":0,"max":1,"mean":2}]}""", "columns[0].mean")]
    [InlineData("""{"columns":[{"name":"a","kind":"number","deviation":0}]}""", "columns[0].deviation")]
    [InlineData("""{"columns":[{"name":"a","kind":"category"}]}""", "columns[0].categories")]
    [InlineData("""{"columns":[{"name":"a","kind":"category","categories":["b","b"]}]}""", "columns[0].categories")]
    [InlineData("""{"columns":[{"name":"a","kind":"category","categories":["b"],"encoding":"index","unknown":"zeros"}]}""", "columns[0].unknown")]
    [InlineData("""{"columns":[{"name":"a","kind":"boolean","mean":1}]}""", "columns[0].mean")]
    [InlineData("""{"columns":[{"name":"a","kind":"number","missing":"none"}]}""", "columns[0].missing")]
    [InlineData("""{"columns":[{"name":"a","kind":"number"}]}""", "columns")]
    public void A_table_that_does_not_fit_the_model_is_refused_at_registration(string json, string member)
    {
        var table = JsonSerializer.Deserialize<TablePreparation>(json, QueueMaaSJson.Strict)!;

        var problem = Samples.ShouldFail(() => PipelineCheck.Check(SixNumbers, new() { Table = table }), ProblemCodes.PipelineInvalid);

        problem.Details!["path"].GetString().ShouldBe($"pipeline.table.{member}");
    }

    [Fact]
    public async Task A_row_is_answered_by_a_model()
    {
        using var folder = new TempFolder();
        await using var host = new ModelHost(new());
        var table = new TablePreparation { Columns = [new() { Name = "a", Kind = ColumnKind.Number }, new() { Name = "b", Kind = ColumnKind.Number }] };
        var model = Graphs.Identity(DataType.Float, -1, 2).Serve(folder, pipeline: new() { Table = table, Postprocess = new() { Values = new() { Scale = 2, Offset = 1 } } });

        var output = await host.InferAsync(model, host.Prepare(model, new InferenceInput { Model = "m", Row = JsonElement.Parse("""{"b":3,"a":1}""") }), new());

        output.Values!.ShouldHaveSingleItem().ShouldBe([3d, 7]);
        output.Outputs.ShouldBeNull("the pipeline's answer stands for the tensors");
    }

    private static float[] Encode(string row) => Samples.ToFloats(Encode(SixNumbers, People, row));

    private static TensorBuffer Encode(ModelSignature signature, TablePreparation table, string row) =>
        InferenceRequestCheck.Prepare(signature, new() { Table = table }, new() { Model = "m", Row = JsonElement.Parse(row) }, new()).Inputs[0];
}
