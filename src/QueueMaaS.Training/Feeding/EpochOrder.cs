using QueueMaaS.Training.Specification;

namespace QueueMaaS.Training.Feeding;

/// <summary>The order of the training items in an epoch: a function of the seed and the epoch.</summary>
internal static class EpochOrder
{
    /// <param name="data">The items.</param>
    /// <param name="balanced">True: every class is drawn equally often; small classes repeat their items.</param>
    /// <param name="seed">The job's.</param>
    /// <param name="epoch">From 1.</param>
    public static int[] Of(ExampleSet data, bool balanced, long seed, int epoch)
    {
        var random = Seeds.Generator(seed, "order", epoch);
        var order = balanced && data.Targets.Classes is { } classes ? Balanced(data.Split.Train, classes, random) : (int[])data.Split.Train.Clone();
        random.Shuffle(order);
        return order;
    }

    private static int[] Balanced(int[] train, int[] classes, Random random)
    {
        var groups = train.GroupBy(i => classes[i]).OrderBy(g => g.Key).Select(g => g.ToArray()).ToArray();
        foreach (var group in groups)
            random.Shuffle(group);
        // As many items as before, dealt out to the classes in turn.
        return [.. Enumerable.Range(0, train.Length).Select(i => groups[i % groups.Length] is var group ? group[i / groups.Length % group.Length] : 0)];
    }
}
