using System.Security.Cryptography;
using System.Text.Json;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Submission;

namespace QueueMaaS.Unit.Tests;

/// <summary>The hash that tells repeats is that of the whole submission as the service writes it, by whichever way it is made.</summary>
public sealed class RequestHashTests
{
    [Theory]
    [InlineData("""{"model":"m","inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[0.5,-1.25e3]}]}""")]
    [InlineData("""{ "model" : "m", "row" : [ 1 , 2 ] }""")]
    [InlineData("""{"model":"m","text":"with blanks"}""")]
    [InlineData("""{"model":"m","text":"\u0041\n"}""")]
    [InlineData("""{"model":"m","text":"ä😀"}""")]
    [InlineData("""{"model":"m","text":"<a>&'+/~"}""")]
    [InlineData("""{"input":null,"x":"\"input\":null"}""")]
    [InlineData("{}")]
    [InlineData("[]")]
    [InlineData("null")]
    [InlineData("12.50")]
    public void It_is_that_of_the_whole_submission(string input)
    {
        var submission = new JobSubmission { Id = "mine", Kind = JobKind.Inference, Input = JsonElement.Parse(input), Priority = 7, Tags = ["\"input\":null"], TimeoutSeconds = 2.5 };
        RequestHash.Of(submission).ShouldBe(Convert.ToHexStringLower(SHA256.HashData(JsonSerializer.SerializeToUtf8Bytes(submission with { Id = null }, QueueMaaSJson.Relaxed))));
    }

    [Fact]
    public void White_space_makes_no_other_submission_and_another_value_does()
    {
        RequestHash.Of(Of("""{"row":[1,2]}""")).ShouldBe(RequestHash.Of(Of("""{ "row": [1, 2] }""")));
        RequestHash.Of(Of("""{"row":[1,2]}""")).ShouldNotBe(RequestHash.Of(Of("""{"row":[1,3]}""")));
    }

    private static JobSubmission Of(string input) => new() { Kind = JobKind.Inference, Input = JsonElement.Parse(input) };
}
