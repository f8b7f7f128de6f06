using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Deployment;

namespace QueueMaaS.Unit.Tests;

public sealed class NamesTests
{
    [Theory]
    [InlineData("production", true)]
    [InlineData("v4", true)]
    [InlineData("4.1", true)]
    [InlineData("2026-11", true)]
    [InlineData("4", false)]
    [InlineData("007", false)]
    [InlineData("0", false)]
    [InlineData("99999999999", false)]
    [InlineData("-4", false)]
    [InlineData("", false)]
    [InlineData(null, false)]
    public void An_alias_is_a_name_that_cannot_be_taken_for_a_version(string? text, bool isOne)
    {
        Identifiers.IsAlias(text).ShouldBe(isOne);
        if (isOne)
            VersionReference.TryParse($"x@{text}", out var reference).ShouldBeTrue();
    }

    [Fact]
    public void A_rollout_by_an_alias_of_digits_is_refused() =>
        Should.Throw<ProblemException>(() => RolloutCheck.Check(new RolloutRequest { Version = 2, Alias = "3" })).Problem.Message.ShouldContain("not digits alone");
}
