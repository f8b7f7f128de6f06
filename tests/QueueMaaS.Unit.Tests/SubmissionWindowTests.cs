using QueueMaaS.Messaging.RabbitMq;

namespace QueueMaaS.Unit.Tests;

/// <summary>How many submissions are held at a time follows from how large they are.</summary>
public sealed class SubmissionWindowTests
{
    private const int Kilobyte = 1024;
    private const int Megabyte = 1024 * 1024;

    [Fact]
    public void It_begins_small_and_grows_to_what_is_allowed_while_submissions_are_small()
    {
        var window = new SubmissionWindow(most: 512);
        window.Size.ShouldBe(64);
        Observe(window, 5 * Kilobyte, 63).ShouldBe(0);
        Observe(window, 5 * Kilobyte, 1000).ShouldBe(1);
        window.Size.ShouldBe(512);
    }

    [Fact]
    public void Large_submissions_together_stay_within_some_memory()
    {
        var window = new SubmissionWindow(most: 512);
        Observe(window, Kilobyte, 1000);
        Observe(window, 4 * Megabyte, 1000);
        (window.Size * 4 * Megabyte).ShouldBeLessThanOrEqualTo(128 * Megabyte);
        window.Size.ShouldBeGreaterThanOrEqualTo(16);
    }

    [Fact]
    public void A_single_large_one_among_small_ones_changes_nothing()
    {
        var window = new SubmissionWindow(most: 512);
        Observe(window, Kilobyte, 1000);
        Observe(window, 4 * Megabyte, 1).ShouldBe(0);
        Observe(window, Kilobyte, 1000).ShouldBe(0);
    }

    [Fact]
    public void It_is_not_changed_back_and_forth_by_submissions_near_a_limit()
    {
        var window = new SubmissionWindow(most: 512);
        Observe(window, 256 * Kilobyte, 1000);
        var random = new Random(1);
        Enumerable.Range(0, 10_000).Count(_ => window.Observe(random.Next(200, 300) * Kilobyte)).ShouldBe(0);
    }

    [Fact]
    public void It_grows_again_once_large_ones_are_through()
    {
        var window = new SubmissionWindow(most: 512);
        Observe(window, 4 * Megabyte, 1000);
        Observe(window, Kilobyte, 1000);
        window.Size.ShouldBe(512);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(8)]
    public void It_never_goes_beyond_what_is_allowed(int most)
    {
        var window = new SubmissionWindow(most);
        Observe(window, Kilobyte, 1000).ShouldBe(0);
        window.Size.ShouldBe(most);
        Observe(window, 4 * Megabyte, 1000).ShouldBe(0);
        window.Size.ShouldBe(most);
    }

    private static int Observe(SubmissionWindow window, int bytes, int times) => Enumerable.Range(0, times).Count(_ => window.Observe(bytes));
}
