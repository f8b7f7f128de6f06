using System.Text;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Access;
using QueueMaaS.Jobs.Submission;

namespace QueueMaaS.Unit.Tests;

public sealed class SubmissionScopesTests
{
    [Theory]
    [InlineData("""{"kind":"promotion","input":{"model":"m@1","alias":"production","gate":{}}}""", "kind")]
    [InlineData("""{"kind":"baseline","input":{"model":"m@1"}}""", "kind")]
    [InlineData("""{"kind":"training","input":{"model":"m","dataset":"d","monitor":{}}}""", "input.monitor")]
    [InlineData("""{"kind":"sweep","input":{"training":{"dataset":"d","Monitor":{}},"search":{}}}""", "input.training.monitor")]
    [InlineData("""{"kind":"training","input":{"model":"m","dataset":"d","deploy":"production"}}""", "input.deploy")]
    [InlineData("""{"kind":"training","input":{"model":"m","dataset":"d","Deploy":"production"}}""", "input.deploy")]
    [InlineData("""{"kind":"training","input":{"model":"m","dataset":"d","deploy":{"$output":"other","path":"/alias"}}}""", "input.deploy")]
    [InlineData("""{"kind":"training","input":{"$output":"other"}}""", "input")]
    [InlineData("""{"kind":"sweep","input":{"training":{"dataset":"d","deploy":"production"},"search":{}}}""", "input.training.deploy")]
    [InlineData("""{"kind":"sweep","input":{"Training":{"dataset":"d","DEPLOY":"production"},"search":{}}}""", "input.training.deploy")]
    [InlineData("""{"kind":"sweep","input":{"training":{"$output":"other"},"search":{}}}""", "input.training")]
    [InlineData("""{"kind":"sweep","input":{"$output":"other"}}""", "input")]
    public void A_caller_that_may_only_submit_cannot_hand_in_what_moves_an_alias_or_opens_a_monitor(string json, string path)
    {
        var submission = Read(json);
        var problem = Should.Throw<ProblemException>(() => SubmissionScopes.Require(submission, [AccessScopes.Submit, AccessScopes.Read, AccessScopes.Admin])).Problem;
        problem.Code.ShouldBe(ProblemCodes.ScopeMissing);
        problem.Details!["path"].GetString().ShouldBe(path);
        problem.Message.ShouldContain("needs a caller with the scope `models`");

        SubmissionScopes.Require(submission, [AccessScopes.Submit, AccessScopes.Models]);
        // The bus knows a tenant, no caller.
        SubmissionScopes.Require(submission, scopes: null);
    }

    [Theory]
    [InlineData("""{"kind":"inference","input":{"model":"m"}}""")]
    [InlineData("""{"kind":"training","input":{"model":"m","dataset":"d"}}""")]
    [InlineData("""{"kind":"training","input":{"model":"m","dataset":"d","deploy":null,"monitor":null}}""")]
    [InlineData("""{"kind":"training","input":{"model":"m","dataset":{"$output":"other","path":"/dataset"}}}""")]
    [InlineData("""{"kind":"sweep","input":{"training":{"dataset":"d"},"search":{}}}""")]
    [InlineData("""{"kind":"sweep","input":7}""")]
    [InlineData("""{"kind":"evaluation","input":{"model":"m","dataset":"d"}}""")]
    public void A_caller_that_may_submit_can_hand_in_what_moves_no_alias_and_opens_no_monitor(string json) => SubmissionScopes.Require(Read(json), [AccessScopes.Submit]);

    private static JobSubmission Read(string json) => SubmissionReader.Read(Encoding.UTF8.GetBytes(json), 10_000);
}
