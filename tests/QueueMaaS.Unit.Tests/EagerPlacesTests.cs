using Microsoft.Extensions.Time.Testing;
using QueueMaaS.Jobs.Execution;

namespace QueueMaaS.Unit.Tests;

/// <summary>Who may start where it is accepted, and for how long somebody waits for that.</summary>
public sealed class EagerPlacesTests
{
    private readonly FakeTimeProvider _time = new();
    private bool _jobsWait;

    [Fact]
    public async Task There_are_places_until_a_packs_worth_of_computing_is_under_way()
    {
        var places = Make();
        for (var i = 0; i < 5; i++)
            (await places.TakeAsync(Job(0.01), waits: false)).ShouldBeTrue();
        (await places.TakeAsync(Job(0.01), waits: false)).ShouldBeFalse();
        places.Leave(Job(0.01));
        (await places.TakeAsync(Job(0.01), waits: false)).ShouldBeTrue();
        places.Jobs.ShouldBe(5);
    }

    [Fact]
    public async Task A_long_job_starts_alone()
    {
        var places = Make();
        (await places.TakeAsync(Job(30), waits: false)).ShouldBeTrue();
        (await places.TakeAsync(Job(0.001), waits: false)).ShouldBeFalse();
        places.Leave(Job(30));
        (await places.TakeAsync(Job(0.001), waits: false)).ShouldBeTrue();
    }

    [Fact]
    public async Task However_short_jobs_are_there_are_no_more_than_so_many()
    {
        var places = Make();
        for (var i = 0; i < EagerPlaces.MostJobs; i++)
            (await places.TakeAsync(Job(0), waits: false)).ShouldBeTrue();
        (await places.TakeAsync(Job(0), waits: false)).ShouldBeFalse();
    }

    [Fact]
    public async Task Nobody_overtakes_a_job_that_waits_for_a_worker()
    {
        var places = Make();
        _jobsWait = true;
        (await places.TakeAsync(Job(0.001), waits: false)).ShouldBeFalse();
        var waiting = places.TakeAsync(Job(0.001), waits: true);
        places.Look();
        waiting.IsCompleted.ShouldBeFalse();
        _jobsWait = false;
        places.Look();
        (await waiting).ShouldBeTrue();
    }

    [Fact]
    public async Task Those_that_wait_get_their_places_in_order_and_nobody_overtakes_them()
    {
        var places = Make();
        (await places.TakeAsync(Job(1), waits: false)).ShouldBeTrue();
        var first = places.TakeAsync(Job(1), waits: true).AsTask();
        var second = places.TakeAsync(Job(0), waits: true).AsTask();
        places.Leave(Job(1));
        (await first).ShouldBeTrue();
        second.IsCompleted.ShouldBeFalse();
        (await places.TakeAsync(Job(0), waits: false)).ShouldBeFalse();
        places.Leave(Job(1));
        (await second).ShouldBeTrue();
    }

    [Fact]
    public async Task After_a_wait_in_vain_nobody_waits_for_a_while()
    {
        var places = Make();
        (await places.TakeAsync(Job(1), waits: false)).ShouldBeTrue();
        var waiting = places.TakeAsync(Job(1), waits: true);
        _time.Advance(TimeSpan.FromMilliseconds(250));
        (await waiting).ShouldBeFalse();
        (await places.TakeAsync(Job(1), waits: true)).ShouldBeFalse();
        _time.Advance(TimeSpan.FromSeconds(2));
        var again = places.TakeAsync(Job(1), waits: true);
        again.IsCompleted.ShouldBeFalse();
        places.Leave(Job(1));
        (await again).ShouldBeTrue();
    }

    [Fact]
    public async Task Once_closed_nobody_gets_a_place_and_nobody_waits()
    {
        var places = Make();
        (await places.TakeAsync(Job(1), waits: false)).ShouldBeTrue();
        var waiting = places.TakeAsync(Job(1), waits: true);
        places.Close();
        (await waiting).ShouldBeFalse();
        places.Leave(Job(1));
        (await places.TakeAsync(Job(0), waits: true)).ShouldBeFalse();
        places.Jobs.ShouldBe(0);
    }

    [Fact]
    public async Task Inputs_that_are_held_in_memory_are_so_many_characters_together_or_one()
    {
        var places = Make();
        (await places.TakeAsync(new EagerSize(0, EagerPlaces.MostChars + 1), waits: false)).ShouldBeTrue();
        (await places.TakeAsync(new EagerSize(0, 1), waits: false)).ShouldBeFalse();
        places.Leave(new EagerSize(0, EagerPlaces.MostChars + 1));
        (await places.TakeAsync(new EagerSize(0, EagerPlaces.MostChars / 2), waits: false)).ShouldBeTrue();
        (await places.TakeAsync(new EagerSize(0, EagerPlaces.MostChars / 2), waits: false)).ShouldBeTrue();
        (await places.TakeAsync(new EagerSize(0, 1), waits: false)).ShouldBeFalse();
    }

    private static EagerSize Job(double seconds) => new(seconds, 0);

    private EagerPlaces Make() => new(() => !_jobsWait, _time);
}
