using QueueMaaS.Jobs;

namespace QueueMaaS.Unit.Tests;

public sealed class GroupCommitTests
{
    [Fact]
    public async Task One_alone_is_committed_at_once()
    {
        await using var group = new GroupCommit<int, int>((items, _) => Task.FromResult<IReadOnlyList<int>>([.. items.Select(item => item * 2)]), maxGroup: 10);
        (await group.AddAsync(21, TestContext.Current.CancellationToken)).ShouldBe(42);
    }

    [Fact]
    public async Task What_arrives_during_a_commit_goes_together_in_the_next()
    {
        var sizes = new List<int>();
        var release = new TaskCompletionSource();
        await using var group = new GroupCommit<int, int>(async (items, _) =>
        {
            sizes.Add(items.Count);
            if (sizes.Count == 1)
                await release.Task;
            return [.. items];
        }, maxGroup: 8);
        var first = group.AddAsync(0, TestContext.Current.CancellationToken);
        while (sizes.Count == 0)
            await Task.Yield();
        var rest = Enumerable.Range(1, 10).Select(item => group.AddAsync(item, TestContext.Current.CancellationToken)).ToArray();
        release.SetResult();
        (await first).ShouldBe(0);
        (await Task.WhenAll(rest)).ShouldBe(Enumerable.Range(1, 10));
        sizes.ShouldBe([1, 8, 2]);
    }

    [Fact]
    public async Task A_bad_item_fails_alone()
    {
        await using var group = new GroupCommit<int, int>((items, _) => items.Contains(3) ? throw new InvalidOperationException("three") : Task.FromResult<IReadOnlyList<int>>([.. items]), maxGroup: 100);
        var tasks = Enumerable.Range(0, 6).Select(item => group.AddAsync(item, TestContext.Current.CancellationToken)).ToArray();
        foreach (var (task, item) in tasks.Select((task, item) => (task, item)))
        {
            if (item == 3)
                (await Should.ThrowAsync<InvalidOperationException>(task)).Message.ShouldBe("three");
            else
                (await task).ShouldBe(item);
        }
    }
}
