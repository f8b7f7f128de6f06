using Microsoft.Extensions.Time.Testing;
using QueueMaaS.Jobs.Leasing;

namespace QueueMaaS.Unit.Tests;

public sealed class SightingsTests
{
    private readonly FakeTimeProvider _time = new();
    private readonly Sightings _sightings;

    public SightingsTests() => _sightings = new(_time, TimeSpan.FromSeconds(3));

    [Fact]
    public void One_that_was_seen_and_is_missing_for_the_grace_time_is_gone()
    {
        Look(1);
        Look();
        Pass(2);
        Look();
        _sightings.IsGone(1).ShouldBeFalse();
        Pass(1);
        Look();
        _sightings.IsGone(1).ShouldBeTrue();
    }

    [Fact]
    public void One_that_was_never_seen_is_not_missed()
    {
        Look();
        Pass(60);
        Look();
        _sightings.IsGone(1).ShouldBeFalse();
    }

    [Fact]
    public void One_that_comes_back_is_not_gone_and_is_missed_anew()
    {
        Look(1);
        Look();
        Pass(5);
        Look(1);
        _sightings.IsGone(1).ShouldBeFalse();
        Look();
        Pass(2);
        _sightings.IsGone(1).ShouldBeFalse();
    }

    [Fact]
    public void Time_in_which_nobody_could_look_does_not_count()
    {
        Look(1);
        Look();
        Pass(60);
        _sightings.LookFailed();
        Look();
        _sightings.IsGone(1).ShouldBeFalse();
        Pass(3);
        Look();
        _sightings.IsGone(1).ShouldBeTrue();
    }

    private void Look(params long[] present) => _sightings.Look(present.ToHashSet());

    private void Pass(int seconds) => _time.Advance(TimeSpan.FromSeconds(seconds));
}
