using System.Globalization;
using System.Text;
using System.Text.Json;
using QueueMaaS.Contracts;
using QueueMaaS.Inference.Tensors;

namespace QueueMaaS.Inference.Tests;

/// <summary>The quick way for flat arrays of numbers gives what the standard parser gives, to the bit, and leaves to it whatever is not of that form.</summary>
public sealed class FlatFloatsTests
{
    [Fact]
    public void Numbers_of_every_form_are_rounded_as_the_standard_parser_rounds_them()
    {
        var random = new Random(20261127);
        for (var round = 0; round < 2000; round++)
        {
            var texts = Enumerable.Range(0, 100).Select(_ => Number(random)).Where(static text => float.IsFinite(float.Parse(text, CultureInfo.InvariantCulture))).ToArray();
            var values = new float[texts.Length];
            FlatFloats.TryRead(Encoding.UTF8.GetBytes($"[{string.Join(round % 2 == 0 ? "," : " ,\n\t", texts)}]"), [values.Length], values).ShouldBeTrue();
            for (var i = 0; i < texts.Length; i++)
                BitConverter.SingleToUInt32Bits(values[i]).ShouldBe(BitConverter.SingleToUInt32Bits(float.Parse(texts[i], CultureInfo.InvariantCulture)), texts[i]);
        }
    }

    [Theory]
    // Just between two floats, and a hair beside: the last are as one double.
    [InlineData("16777217")]
    [InlineData("16777219")]
    [InlineData("16777217.0000001")]
    [InlineData("1.00000005960464477539062")]
    [InlineData("1.000000059604644775390625")]
    [InlineData("1.000000059604644775390626")]
    [InlineData("0.000000000000000000000000000000000000011754943508222875")]
    [InlineData("0.0000000000000000000001401298464324817")]
    [InlineData("9007199254740993")]
    [InlineData("123456789012345678901234567890")]
    [InlineData("340282346638528859811704183484516925440")]
    [InlineData("1e-45")]
    [InlineData("-0")]
    [InlineData("-0.0E+0")]
    public void Hard_cases_are_rounded_once(string text)
    {
        var values = new float[1];
        FlatFloats.TryRead(Encoding.UTF8.GetBytes($" [ {text} ] "), [1], values).ShouldBeTrue();
        BitConverter.SingleToUInt32Bits(values[0]).ShouldBe(BitConverter.SingleToUInt32Bits(float.Parse(text, CultureInfo.InvariantCulture)));
    }

    [Theory]
    [InlineData("[1,2]")]
    [InlineData("[1,2,3,4]")]
    [InlineData("[1,2,3,]")]
    [InlineData("[[[1,2,3]]]")]
    [InlineData("[[1,2,3]")]
    [InlineData("[[1,2,3]]]")]
    [InlineData("[[1],[2],[3]]")]
    [InlineData("[1,2,\"3\"]")]
    [InlineData("[1,2,null]")]
    [InlineData("[1,2,1e39]")]
    [InlineData("[1,2,01]")]
    [InlineData("[1,2,-]")]
    [InlineData("[1,2,.5]")]
    [InlineData("[1,2,5.]")]
    [InlineData("[1,2,+5]")]
    [InlineData("[1,2,5e]")]
    [InlineData("[1,2,5e+]")]
    [InlineData("[1,2,NaN]")]
    [InlineData("[1 2 3]")]
    [InlineData("[1,2,3")]
    [InlineData("[1,2,3] x")]
    [InlineData("[")]
    [InlineData("")]
    [InlineData("3")]
    public void What_is_no_flat_array_of_so_many_numbers_is_left_to_the_reader_that_says_why(string json) =>
        FlatFloats.TryRead(Encoding.UTF8.GetBytes(json), [1, 3], new float[3]).ShouldBeFalse();

    [Theory]
    [InlineData("[[1,2,3]]", true, "1,3")]
    [InlineData("[ [ [1,2,3] ] ]", true, "1,1,3")]
    [InlineData("[[1,2,3]]", false, "3,1")]
    [InlineData("[[1,2,3]]", false, "3")]
    public void One_row_may_be_nested_as_its_shape(string json, bool isRead, string shape) =>
        FlatFloats.TryRead(Encoding.UTF8.GetBytes(json), [.. shape.Split(',').Select(static size => long.Parse(size, CultureInfo.InvariantCulture))], new float[3]).ShouldBe(isRead);

    [Fact]
    public void An_empty_tensor_is_read() => FlatFloats.TryRead("[ ]"u8, [0], []).ShouldBeTrue();

    [Fact]
    public void A_value_that_does_not_fit_is_told_with_its_place_as_before()
    {
        var tensor = new Tensor { Name = "x", Datatype = Datatypes.Fp32, Shape = [1, 3], Data = JsonElement.Parse("[1,2,1e39]") };
        var refused = Should.Throw<ProblemException>(() => TensorReader.Read(tensor, new TensorSignature("x", Datatypes.Fp32, [-1, 3])));
        refused.Problem.Code.ShouldBe(ProblemCodes.TensorDatatypeMismatch);
        refused.Problem.Message.ShouldContain("index 2");
    }

    private static string Number(Random random)
    {
        var value = random.Next(6) switch
        {
            0 => random.NextDouble(),
            1 => random.NextDouble() * Math.Pow(10, random.Next(-30, 30)),
            2 => BitConverter.Int32BitsToSingle(random.Next()),
            3 => random.Next(-1000, 1000),
            // Half way between two floats.
            4 => ((double)BitConverter.Int32BitsToSingle(0x3F800000 + random.Next(1 << 20)) + BitConverter.Int32BitsToSingle(0x3F800001 + random.Next(1 << 20))) / 2,
            _ => random.NextInt64() * (random.Next(2) - 0.5),
        };
        value = double.IsFinite(value) ? value : 1;
        return random.Next(4) switch
        {
            0 => value.ToString("R", CultureInfo.InvariantCulture),
            1 => Math.Round(value, random.Next(8)).ToString("F" + random.Next(1, 25), CultureInfo.InvariantCulture),
            2 => ((float)value).ToString("R", CultureInfo.InvariantCulture),
            _ => value.ToString("E" + random.Next(1, 20), CultureInfo.InvariantCulture),
        };
    }
}
