using QueueMaaS.Behaviour.Tests.Setup;

namespace QueueMaaS.Behaviour.Tests;

/// <summary>The program as a newcomer starts it, in a process of its own.</summary>
[Collection("faults")]
public sealed class DemoTests
{
    [Fact]
    public async Task The_demo_goes_the_whole_circle()
    {
        var (exitCode, output) = await ProgramRun.RunAsync("demo", "--epochs", "3");

        exitCode.ShouldBe(0, output);
        output.ShouldContain("inference jobs over the bus");
        output.ShouldContain("One batch job over the bus");
    }

    [Theory]
    [InlineData("--epochs has to be", "--epochs", "0")]
    [InlineData("--limit", "--limit", "-5")]
    [InlineData("Storage__PostgreSql", "--servers")]
    [InlineData("nowhere", "--data", "/nowhere")]
    public async Task What_cannot_work_is_said_in_a_sentence_before_anything_is_made(string word, params string[] arguments)
    {
        var (exitCode, output) = await ProgramRun.RunAsync(["demo", .. arguments]);

        exitCode.ShouldBe(1, output);
        output.ShouldContain(word.Split(' ')[0]);
        output.ShouldNotContain("   at ", customMessage: "no stack trace");
        output.ShouldNotContain("epoch 1/");
    }
}
