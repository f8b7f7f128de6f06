using QueueMaaS.Contracts;
using QueueMaaS.Training.Optimisation;

namespace QueueMaaS.Training.Tests;

public sealed class ScheduleTests
{
    // Ten epochs of ten steps, step size 2.
    private static double At(ScheduleSettings settings, long step) => new LearningRateSchedule(settings, 2, 10, 10).At(step, (int)(step / 10) + 1);

    [Theory]
    [InlineData(ScheduleKind.Constant, 0, 2)]
    [InlineData(ScheduleKind.Constant, 99, 2)]
    [InlineData(ScheduleKind.Step, 29, 2)]
    [InlineData(ScheduleKind.Step, 30, 1)]
    [InlineData(ScheduleKind.Step, 99, 0.25)]
    [InlineData(ScheduleKind.Exponential, 9, 2)]
    [InlineData(ScheduleKind.Exponential, 35, 0.25)]
    [InlineData(ScheduleKind.Cosine, 0, 2)]
    [InlineData(ScheduleKind.Cosine, 25, 1.7363961030678927)]
    [InlineData(ScheduleKind.Cosine, 50, 1.1)]
    [InlineData(ScheduleKind.Cosine, 100, 0.2)]
    [InlineData(ScheduleKind.Linear, 0, 2)]
    [InlineData(ScheduleKind.Linear, 50, 1.1)]
    [InlineData(ScheduleKind.Linear, 100, 0.2)]
    [InlineData(ScheduleKind.OneCycle, 0, 0.08)]
    [InlineData(ScheduleKind.OneCycle, 29, 2)]
    [InlineData(ScheduleKind.OneCycle, 64, 1.000004)]
    [InlineData(ScheduleKind.OneCycle, 99, 0.000008)]
    public void A_rule_gives_the_step_size_that_its_formula_gives(ScheduleKind kind, long step, double expected) =>
        At(new() { Kind = kind, Every = 3, Factor = 0.5, Floor = 0.1 }, step).ShouldBe(expected, 1e-9);

    [Fact]
    public void A_warm_up_grows_from_zero_and_the_rule_begins_after_it()
    {
        var settings = new ScheduleSettings { Kind = ScheduleKind.Linear, WarmUpSteps = 20 };
        Enumerable.Range(0, 20).Select(s => At(settings, s)).ShouldBe(Enumerable.Range(1, 20).Select(s => 0.1 * s), 1e-9);
        At(settings, 20).ShouldBe(2, 1e-9);
        At(settings, 60).ShouldBe(1, 1e-9);
        At(settings, 100).ShouldBe(0, 1e-9);
    }

    [Fact]
    public void A_plateau_falls_after_its_patience_and_not_below_its_floor()
    {
        var schedule = new LearningRateSchedule(new() { Kind = ScheduleKind.Plateau, Patience = 1, Factor = 0.5, Floor = 0.3 }, 2, 10, 10);
        var rates = new List<double>();
        foreach (var loss in (double[])[5, 4, 4, 4, 3, 3, 3, 3, 3])
        {
            schedule.EndEpoch(loss);
            rates.Add(schedule.At(0, 1));
        }

        rates.ShouldBe([2, 2, 2, 1, 1, 1, 0.6, 0.6, 0.6]);
    }
}
