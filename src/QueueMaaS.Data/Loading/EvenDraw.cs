using QueueMaaS.Data.Formats;

namespace QueueMaaS.Data.Loading;

/// <summary>Draws some of the items, evenly over the classes and in proportion over the splits, the same ones for the same seed.</summary>
internal static class EvenDraw
{
    public static int[] Take(IReadOnlyList<DatasetItem> items, int[] indexes, int limit, long seed)
    {
        if (limit >= indexes.Length)
            return indexes;
        var random = new Random(unchecked((int)(seed ^ (seed >> 32))));
        var splits = indexes.GroupBy(i => items[i].Split, StringComparer.Ordinal).Select(g => g.ToArray()).ToList();
        var drawn = new List<int>(limit);
        for (var s = 0; s < splits.Count; s++)
        {
            // The first split (train) takes what rounding leaves over.
            var quota = s == 0
                ? limit - splits.Skip(1).Sum(o => (int)((long)limit * o.Length / indexes.Length))
                : (int)((long)limit * splits[s].Length / indexes.Length);
            drawn.AddRange(OverClasses(items, splits[s], quota, random));
        }

        drawn.Sort();
        return [.. drawn];
    }

    private static List<int> OverClasses(IReadOnlyList<DatasetItem> items, int[] indexes, int quota, Random random)
    {
        var classes = indexes.GroupBy(i => items[i].Label).OrderBy(g => g.Key).Select(g => g.ToArray()).ToList();
        foreach (var members in classes)
            random.Shuffle(members);

        // One round gives every class one more image, so small classes run out and the others share what is left.
        var taken = new List<int>(quota);
        for (var round = 0; taken.Count < quota; round++)
        {
            var before = taken.Count;
            foreach (var members in classes)
            {
                if (round < members.Length && taken.Count < quota)
                    taken.Add(members[round]);
            }

            if (taken.Count == before)
                break;
        }

        return taken;
    }
}
