using QueueMaaS.Contracts;
using QueueMaaS.Inference.BatchJobs.Sources;

namespace QueueMaaS.Inference.Tests;

public sealed class SeenIdsTests
{
    private const int Many = 1_000_000;

    [Fact]
    public void An_id_is_refused_the_second_time_and_only_then()
    {
        var seen = new SeenIds();
        var before = GC.GetTotalMemory(forceFullCollection: true);
        for (var i = 0; i < Many; i++)
            seen.Add($"item-{i}", i, "Line");
        // Ten million of them have to leave room in a process of one gigabyte.
        (GC.GetTotalMemory(forceFullCollection: true) - before).ShouldBeLessThan(24L * Many);

        for (var i = 0; i < Many; i += 9973)
        {
            var problem = Should.Throw<ProblemException>(() => seen.Add($"item-{i}", Many + i, "Line")).Problem;
            problem.Code.ShouldBe(ProblemCodes.DuplicateId);
            problem.Message.ShouldStartWith($"Line {Many + i} has the id `item-{i}`");
        }
    }

    [Theory]
    [InlineData("")]
    [InlineData("ß")]
    [InlineData("a\0b")]
    public void Any_text_is_an_id(string id)
    {
        var seen = new SeenIds();
        seen.Add(id, 1, "Line");
        seen.Add(id + "x", 2, "Line");
        seen.Add(new string('y', 100_000) + id, 3, "Line");
        Should.Throw<ProblemException>(() => seen.Add(id, 4, "Line"));
        Should.Throw<ProblemException>(() => seen.Add(new string('y', 100_000) + id, 5, "Line"));
    }
}
