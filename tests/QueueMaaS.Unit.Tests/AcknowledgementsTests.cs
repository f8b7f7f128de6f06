using QueueMaaS.Messaging.RabbitMq;

namespace QueueMaaS.Unit.Tests;

/// <summary>How deliveries are acknowledged: <c>≤3</c> is all up to the third, <c>=3</c> the third alone, <c>-3</c> the third given back.</summary>
public sealed class AcknowledgementsTests
{
    [Fact]
    public Task Deliveries_that_ended_go_in_one() => AcknowledgedAsync([[1, 2, 3]], "≤3");

    [Fact]
    public Task One_under_way_keeps_a_few_behind_it_waiting() => AcknowledgedAsync([[2, 3], [1]], "≤3");

    [Fact]
    public Task Many_behind_one_that_is_under_way_go_one_by_one() => AcknowledgedAsync([[2, 3, 4, 5], [1, 6]], "=2 =3 =4 =5 ≤6");

    [Fact]
    public Task One_given_back_is_not_acknowledged_with_the_others() => AcknowledgedAsync([[1, -2, 3]], "-2 ≤3");

    [Fact]
    public Task At_the_end_those_behind_one_that_never_ended_are_acknowledged_alone() => AcknowledgedAsync([[2, 3]], "=2 =3");

    [Fact]
    public async Task Every_delivery_is_acknowledged_once_whatever_the_order()
    {
        var random = new Random(7);
        for (var round = 0; round < 200; round++)
        {
            var tags = Enumerable.Range(1, 50).OrderBy(tag => tag + random.Next(12)).ToArray();
            var outstanding = tags.Select(tag => (ulong)tag).ToHashSet();
            var acknowledgements = new Acknowledgements(
                (tag, multiple) =>
                {
                    if (multiple)
                        outstanding.RemoveWhere(other => other <= tag).ShouldBeGreaterThan(0);
                    else
                        outstanding.Remove(tag).ShouldBeTrue();
                    return ValueTask.CompletedTask;
                },
                _ => throw new InvalidOperationException("none is given back"),
                mostBehind: 8);
            var running = acknowledgements.RunAsync();
            foreach (var tag in tags)
                acknowledgements.Add((ulong)tag);
            acknowledgements.Complete();
            await running;
            outstanding.ShouldBeEmpty();
        }
    }

    private static async Task AcknowledgedAsync(int[][] groups, string expected)
    {
        var said = new List<string>();
        var acknowledgements = new Acknowledgements(
            (tag, multiple) =>
            {
                said.Add(multiple ? $"≤{tag}" : $"={tag}");
                return ValueTask.CompletedTask;
            },
            tag =>
            {
                said.Add($"-{tag}");
                return ValueTask.CompletedTask;
            },
            mostBehind: 4);
        foreach (var group in groups)
        {
            foreach (var tag in group)
            {
                if (tag < 0)
                    acknowledgements.GiveBack((ulong)-tag);
                else
                    acknowledgements.Add((ulong)tag);
            }

            await acknowledgements.TakeEndedAsync();
        }

        acknowledgements.Complete();
        await acknowledgements.RunAsync();
        string.Join(' ', said).ShouldBe(expected);
    }
}
