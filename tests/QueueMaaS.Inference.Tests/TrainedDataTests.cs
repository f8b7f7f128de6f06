using System.Text.Json;
using QueueMaaS.Contracts;
using QueueMaaS.Inference.Evaluation;

namespace QueueMaaS.Inference.Tests;

public sealed class TrainedDataTests
{
    [Theory]
    [InlineData("train test", "{}", true)]
    [InlineData("train test", """{"data":{"split":{"kind":"own"}}}""", true)]
    [InlineData("train test", """{"data":{"split":{"kind":"stratified"}}}""", false)]
    [InlineData("train test val", "{}", false)]
    [InlineData("train", "{}", false)]
    [InlineData("test", "{}", false)]
    public void A_training_validates_on_the_test_split_where_there_is_no_other(string splits, string parameters, bool expected)
    {
        var data = new DatasetCard("csv", 30, [], splits.Split(' ').ToDictionary(static split => split, static _ => 10), 0, 0, 0);
        TrainedData.IsTestValidation(new ModelCard { Parameters = JsonElement.Parse(parameters) }, data).ShouldBe(expected);
        TrainedData.IsTestValidation(null, data).ShouldBeFalse("nobody knows how it was trained");
    }
}
