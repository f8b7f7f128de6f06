using QueueMaaS.Contracts;
using QueueMaaS.Inference.BatchJobs.Sources;
using QueueMaaS.Inference.Evaluation;

namespace QueueMaaS.Inference.Tests;

public sealed class EvaluationErrorTests
{
    [Fact]
    public void An_error_names_its_item_and_its_file()
    {
        var unreadable = Problem.Create(ProblemCodes.ImageUnreadable, "The image cannot be read.", ("width", 3));
        var problem = ModelAnswers.Named(new Item(7, "test/cat/07.png", "cat", null, unreadable), unreadable);
        problem.Message.ShouldBe("Item 7 of the split, 'test/cat/07.png': The image cannot be read.");
        (problem.Code, problem.Details!["item"].GetInt64(), problem.Details["file"].GetString(), problem.Details["width"].GetInt32()).ShouldBe((ProblemCodes.ImageUnreadable, 7, "test/cat/07.png", 3));

        var row = Problem.Create(ProblemCodes.RowInvalid, "Row 2 of the table file: `a` is empty.");
        var plain = ModelAnswers.Named(new Item(2, null, null, null, row), row);
        (plain.Message, plain.Details!["item"].GetInt64(), plain.Details.ContainsKey("file")).ShouldBe((row.Message, 2, false));
    }
}
