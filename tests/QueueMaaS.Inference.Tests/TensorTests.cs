using QueueMaaS.Contracts;
using QueueMaaS.Inference.Tensors;

namespace QueueMaaS.Inference.Tests;

public sealed class TensorTests
{
    [Theory]
    [InlineData(Datatypes.Bool, "[true,false,true,true]")]
    [InlineData(Datatypes.UInt8, "[0,1,254,255]")]
    [InlineData(Datatypes.UInt16, "[0,1,2,65535]")]
    [InlineData(Datatypes.UInt32, "[0,1,2,4294967295]")]
    [InlineData(Datatypes.UInt64, "[0,1,2,18446744073709551615]")]
    [InlineData(Datatypes.Int8, "[-128,1,2,127]")]
    [InlineData(Datatypes.Int16, "[-32768,1,2,32767]")]
    [InlineData(Datatypes.Int32, "[-2147483648,1,2,2147483647]")]
    [InlineData(Datatypes.Int64, "[-9223372036854775808,1,2,9223372036854775807]")]
    [InlineData(Datatypes.Fp16, "[0,-1.5,2,65504]")]
    [InlineData(Datatypes.Fp32, "[0,-1.5,3.14159,1E+30]")]
    [InlineData(Datatypes.Fp64, "[0,-1.5,3.141592653589793,1E+300]")]
    [InlineData(Datatypes.Bytes, "[\"\",\"a\",\"\\\"ß\",\"漢字\"]")]
    public void Every_datatype_is_read_and_written_back(string datatype, string json)
    {
        var tensor = Read(datatype, [-1, 2], [2, 2], json);

        TensorWriter.Write(tensor).Data.GetRawText().ShouldBe(json);
        TensorWriter.Write(tensor).Shape.ShouldBe([2L, 2]);
    }

    [Theory]
    [InlineData(Datatypes.Bool, "[true,false,true,true]", "AQABAQ==")]
    [InlineData(Datatypes.UInt8, "[0,1,254,255]", "AAH+/w==")]
    [InlineData(Datatypes.UInt8, "[0,1,254,255]", "AAH\\u002B\\/w==")]
    [InlineData(Datatypes.Int16, "[-32768,1,2,32767]", "AIABAAIA/38=")]
    [InlineData(Datatypes.Int64, "[0,1,2,-1]", "AAAAAAAAAAABAAAAAAAAAAIAAAAAAAAA//////////8=")]
    [InlineData(Datatypes.Fp16, "[0,-1.5,2,65504]", "AAAAvgBA/3s=")]
    [InlineData(Datatypes.Fp32, "[0,-1.5,3.14159,1E+30]", "AAAAAAAAwL/QD0lAyvJJcQ==")]
    public void Values_may_be_base64_of_their_bytes(string datatype, string json, string base64)
    {
        TensorWriter.Write(Read(datatype, [-1, 2], [2, 2], $"\"{base64}\"")).Data.GetRawText().ShouldBe(json);
    }

    [Theory]
    [InlineData(Datatypes.Fp32, "AAAAAAAAwL/QD0lA", ProblemCodes.TensorShapeMismatch, "which is 16 bytes, but 12 came")]
    [InlineData(Datatypes.Fp32, "", ProblemCodes.TensorShapeMismatch, "but 0 came")]
    [InlineData(Datatypes.Fp32, "not base64!", ProblemCodes.TensorDatatypeMismatch, "is not base64")]
    [InlineData(Datatypes.Fp32, "AAAAAAAAwL_QD0lAyvJJcQ", ProblemCodes.TensorDatatypeMismatch, "is not base64")]
    [InlineData(Datatypes.Bool, "AQABAg==", ProblemCodes.TensorDatatypeMismatch, "neither 0 nor 1")]
    [InlineData(Datatypes.Bytes, "AQABAg==", ProblemCodes.TensorShapeMismatch, "")]
    public void Base64_that_cannot_be_the_values_is_refused(string datatype, string base64, string code, string words) =>
        Samples.ShouldFail(() => Read(datatype, [-1, 2], [2, 2], $"\"{base64}\""), code).Message.ShouldContain(words);

    [Fact]
    public void Nested_data_is_read_as_flat_data()
    {
        Samples.ToFloats(Read(Datatypes.Fp32, [-1, 2, 1], [2, 2, 1], "[[[1],[2]],[[3],[4]]]")).ShouldBe([1f, 2, 3, 4]);
    }

    [Fact]
    public void A_scalar_is_read_bare_or_in_an_array()
    {
        Samples.ToFloats(Read(Datatypes.Fp32, [], [], "7")).ShouldBe([7f]);
        Samples.ToFloats(Read(Datatypes.Fp32, [], [], "[7]")).ShouldBe([7f]);
    }

    [Fact]
    public void Zero_rows_are_allowed() => Read(Datatypes.Fp32, [-1, 2], [0, 2], "[]").Count.ShouldBe(0);

    [Theory]
    [InlineData("[[1,2],[3]]")]
    [InlineData("[[1,2,3],[4]]")]
    [InlineData("[[1],[2],[3],[4]]")]
    [InlineData("[1,[2],3,4]")]
    [InlineData("[[1,2],3,4]")]
    [InlineData("[[[1],[2]],[[3],[4]]]")]
    [InlineData("{\"a\":1}")]
    [InlineData("[1,2,3]")]
    [InlineData("[1,2,3,4,5]")]
    [InlineData("[]")]
    [InlineData("7")]
    public void Data_that_does_not_fit_its_shape_is_refused(string json) =>
        Samples.ShouldFail(() => Read(Datatypes.Fp32, [-1, 2], [2, 2], json), ProblemCodes.TensorShapeMismatch);

    [Theory]
    [InlineData(Datatypes.Fp32, "[1,2,\"three\",4]", 2)]
    [InlineData(Datatypes.Fp32, "[1,1e39,3,4]", 1)]
    [InlineData(Datatypes.Fp32, "[1,2,3,null]", 3)]
    [InlineData(Datatypes.Fp16, "[1,2,3,70000]", 3)]
    [InlineData(Datatypes.UInt8, "[1,256,3,4]", 1)]
    [InlineData(Datatypes.UInt8, "[-1,2,3,4]", 0)]
    [InlineData(Datatypes.Int64, "[1,2.5,3,4]", 1)]
    [InlineData(Datatypes.Int64, "[1,2,9223372036854775808,4]", 2)]
    [InlineData(Datatypes.Bool, "[true,false,2,true]", 2)]
    [InlineData(Datatypes.Bytes, "[\"a\",\"b\",\"c\",4]", 3)]
    public void A_value_that_does_not_fit_is_named_by_its_index(string datatype, string json, int index)
    {
        var problem = Samples.ShouldFail(() => Read(datatype, [-1, 2], [2, 2], json), ProblemCodes.TensorDatatypeMismatch);

        problem.Details!["index"].GetInt32().ShouldBe(index);
        problem.Message.ShouldContain($"index {index}");
    }

    [Theory]
    [InlineData(new long[] { 2 })]
    [InlineData(new long[] { 2, 3 })]
    [InlineData(new long[] { 2, 2, 1 })]
    [InlineData(new long[] { -1, 2 })]
    [InlineData(new long[] { 4611686018427387904, 2 })]
    [InlineData(new long[] { 1000000000, 2 })]
    public void A_shape_that_does_not_fit_is_refused_before_memory_is_set_aside(long[] shape) =>
        Samples.ShouldFail(() => Read(Datatypes.Fp32, [-1, 2], shape, "[1,2,3,4]"), ProblemCodes.TensorShapeMismatch);

    [Fact]
    public void Another_datatype_than_the_signatures_is_refused()
    {
        var signature = new TensorSignature("x", Datatypes.Fp32, [-1]);

        Samples.ShouldFail(() => TensorReader.Read(Samples.Tensor("x", Datatypes.Fp64, [1], "[1]"), signature), ProblemCodes.TensorDatatypeMismatch).Message.ShouldContain("FP32");
        Samples.ShouldFail(() => TensorReader.Read(Samples.Tensor("x", "float", [1], "[1]"), signature), ProblemCodes.TensorDatatypeMismatch).Message.ShouldContain("float");
    }

    [Fact]
    public void Unknown_missing_and_repeated_inputs_are_refused_with_the_list_of_inputs()
    {
        var signature = new ModelSignature([new("a", Datatypes.Fp32, [-1]), new("b", Datatypes.Fp32, [-1])], []);
        var (a, b, c) = (Samples.Tensor("a", Datatypes.Fp32, [1], "[1]"), Samples.Tensor("b", Datatypes.Fp32, [1], "[1]"), Samples.Tensor("c", Datatypes.Fp32, [1], "[1]"));

        foreach (var tensors in (Tensor[][])[[a, b, c], [a], [a, a, b], []])
            Samples.ShouldFail(() => TensorReader.Read(tensors, signature), ProblemCodes.TensorNameMismatch).Message.ShouldContain("'a' (FP32 [any])");
        TensorReader.Read([b, a], signature).Select(t => t.Name).ShouldBe(["a", "b"]);
    }

    [Fact]
    public void Numbers_that_json_does_not_have_are_written_as_null() =>
        TensorWriter.Write(Samples.Floats("y", [3], 1, float.NaN, float.NegativeInfinity)).Data.GetRawText().ShouldBe("[1,null,null]");

    [Fact]
    public void Rows_are_cut_out_and_put_together_again()
    {
        var whole = Samples.Floats("x", [3, 2], 1, 2, 3, 4, 5, 6);

        Samples.ToFloats(whole.Rows(1, 1)).ShouldBe([3f, 4]);
        Samples.ToFloats(TensorBuffer.Concatenate([whole.Rows(0, 1), whole.Rows(1, 2)])).ShouldBe([1f, 2, 3, 4, 5, 6]);
    }

    private static TensorBuffer Read(string datatype, long[] signature, long[] shape, string json) =>
        TensorReader.Read(Samples.Tensor("x", datatype, shape, json), new("x", datatype, signature));
}
