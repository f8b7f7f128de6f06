using Microsoft.Extensions.Time.Testing;
using QueueMaaS.Jobs.Estimation;

namespace QueueMaaS.Unit.Tests;

public sealed class RememberedTests
{
    private readonly FakeTimeProvider _time = new();
    private int _asked;

    [Fact]
    public async Task Many_who_ask_within_a_moment_cost_one_question_and_later_ones_another()
    {
        var answers = new Remembered<string, int>(TimeSpan.FromMilliseconds(250), _time);
        var first = await Task.WhenAll(Enumerable.Range(0, 100).Select(_ => Task.Run(() => answers.GetAsync("a", AskAsync))));
        first.ShouldAllBe(answer => answer == 1);
        (await answers.GetAsync("b", AskAsync)).ShouldBe(2);
        _time.Advance(TimeSpan.FromMilliseconds(250));
        (await answers.GetAsync("a", AskAsync)).ShouldBe(3);
        (await answers.GetAsync("a", AskAsync)).ShouldBe(3);
    }

    [Fact]
    public async Task A_question_that_failed_is_asked_again()
    {
        var answers = new Remembered<string, int>(TimeSpan.FromMinutes(1), _time);
        await Should.ThrowAsync<IOException>(() => answers.GetAsync("a", () => Task.FromException<int>(new IOException())));
        (await answers.GetAsync("a", AskAsync)).ShouldBe(1);
    }

    [Fact]
    public async Task However_many_keys_there_are_only_so_many_are_kept()
    {
        var answers = new Remembered<int, int>(TimeSpan.FromMinutes(1), _time);
        for (var key = 0; key < 5000; key++)
            await answers.GetAsync(key, AskAsync);
        _asked = 0;
        for (var key = 0; key < 5000; key++)
            await answers.GetAsync(key, AskAsync);
        _asked.ShouldBeGreaterThan(3900);
    }

    private Task<int> AskAsync() => Task.FromResult(Interlocked.Increment(ref _asked));
}
