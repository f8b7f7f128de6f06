using QueueMaaS.Contracts;
using QueueMaaS.Data.Tables;
using QueueMaaS.Training.Feeding;
using QueueMaaS.Training.Running;
using QueueMaaS.Training.Specification;

namespace QueueMaaS.Training.Preparation;

/// <summary>What is known of the items that are to be split.</summary>
internal sealed record SplitItems
{
    /// <summary>Items in all.</summary>
    public required int Count { get; init; }
    /// <summary>The data set's own split of each: <c>train</c>, <c>test</c> or <c>val</c>.</summary>
    public required IReadOnlyList<string> Own { get; init; }
    /// <summary>The class of each, where there are classes.</summary>
    public int[]? Classes { get; init; }
    /// <summary>The value of the column that the split goes by, where it goes by one.</summary>
    public IReadOnlyList<string?>? Column { get; init; }
    /// <summary>A hash of each item's content.</summary>
    public required Func<int, UInt128> Content { get; init; }
    /// <summary>What is done about content on both sides where the job does not say.</summary>
    public LeakAction Leak { get; init; } = LeakAction.Remove;
    /// <summary>How messages call the items.</summary>
    public string Noun { get; init; } = "items";
}

/// <summary>Splits items into those trained on and those validated on, without the same content on both sides.</summary>
internal static class ItemSplit
{
    /// <exception cref="ProblemException"><c>dataset_one_class</c>, <c>dataset_empty</c>, <c>dataset_leak</c> or <c>invalid_value</c>.</exception>
    public static (DataSplit Split, DataReport Report) Of(SplitItems items, TrainingSettings settings)
    {
        var all = Enumerable.Range(0, items.Count).ToArray();
        var duplicates = settings.Data.RemoveDuplicates ? Duplicates(all, items.Content) : [];
        all = [.. all.Where(i => !duplicates.Contains(i))];
        var rules = settings.Data.Split ?? new();
        var own = items.Own.Contains("val", StringComparer.Ordinal) ? "val" : items.Own.Contains("test", StringComparer.Ordinal) ? "test" : null;
        var kind = rules.Kind ?? (own is null ? SplitKind.Stratified : SplitKind.Own);
        var (train, validation) = Divide(items, all, kind, own, settings);
        var known = train.Select(items.Content).ToHashSet();
        var leaks = validation.Where(i => known.Contains(items.Content(i))).ToArray();
        var action = rules.Leak ?? items.Leak;
        if (leaks.Length > 0 && action == LeakAction.Fail)
        {
            throw new ProblemException(
                ProblemCodes.DatasetLeak, $"{leaks.Length:N0} of {validation.Length:N0} validation {items.Noun} are among the training {items.Noun} as well, by content. Set 'data.removeDuplicates', or 'data.split.leak' to 'remove'.", ("leaks", leaks.Length));
        }

        if (leaks.Length > 0 && action == LeakAction.Remove)
        {
            var seen = leaks.Select(items.Content).ToHashSet();
            train = [.. train.Where(i => !seen.Contains(items.Content(i)))];
            if (train.Length == 0)
                throw new ProblemException(ProblemCodes.DatasetLeak, $"All training {items.Noun} are among the validation {items.Noun} as well, by content, so none is left to train on. Set 'data.split.leak' to 'keep', or 'data.removeDuplicates'.", ("leaks", leaks.Length));
        }

        Require(items, train, validation);
        Array.Sort(train);
        // The first validation items also serve the export check, so they are mixed over the classes.
        Seeds.Generator(settings.DataSeed, "validation").Shuffle(validation);
        return (new(train, validation), new() { Split = char.ToLowerInvariant(kind.ToString()[0]) + kind.ToString()[1..], Duplicates = duplicates.Count, Leaks = leaks.Length });
    }

    private static (int[] Train, int[] Validation) Divide(SplitItems items, int[] all, SplitKind kind, string? own, TrainingSettings settings)
    {
        var random = Seeds.Generator(settings.DataSeed, "split");
        switch (kind)
        {
            case SplitKind.Own when own is null:
                throw new ProblemException(ProblemCodes.DatasetEmpty, "The data set has no 'val' or 'test' split of its own. Choose another 'data.split.kind'.");
            case SplitKind.Own:
                return ([.. all.Where(i => items.Own[i] == "train")], [.. all.Where(i => items.Own[i] == own)]);
            case SplitKind.File:
                return ([.. all.Where(i => items.Column![i] == "train")], [.. all.Where(i => items.Column![i] is "val" or "test")]);
            case SplitKind.Time:
                var ordered = all.OrderBy(i => TimeOf(items.Column![i], i)).ToArray();
                var late = Kept(all.Length, settings.ValidationShare);
                return (ordered[..^late], ordered[^late..]);
            case SplitKind.Group:
                return ByGroup(all, i => items.Column![i] ?? "", settings.ValidationShare, random);
            case SplitKind.Random:
                random.Shuffle(all);
                var kept = Kept(all.Length, settings.ValidationShare);
                return (all[kept..], all[..kept]);
            default:
                return Stratified(items, all, settings.ValidationShare, random);
        }
    }

    private static (int[] Train, int[] Validation) Stratified(SplitItems items, int[] all, double share, Random random)
    {
        var train = new List<int>(all.Length);
        var validation = new List<int>();
        foreach (var members in all.GroupBy(i => items.Classes?[i] ?? 0).OrderBy(g => g.Key).Select(g => g.ToArray()))
        {
            random.Shuffle(members);
            // A class of two or more is seen on both sides; a single item is trained on.
            var kept = members.Length < 2 ? 0 : Kept(members.Length, share);
            validation.AddRange(members[..kept]);
            train.AddRange(members[kept..]);
        }

        return ([.. train], [.. validation]);
    }

    private static (int[] Train, int[] Validation) ByGroup(int[] all, Func<int, string> groupOf, double share, Random random)
    {
        var groups = all.GroupBy(groupOf, StringComparer.Ordinal).OrderBy(g => g.Key, StringComparer.Ordinal).Select(g => g.ToArray()).ToArray();
        random.Shuffle(groups);
        var wanted = Kept(all.Length, share);
        var validation = new List<int>();
        var used = 0;
        while (used < groups.Length - 1 && validation.Count < wanted)
            validation.AddRange(groups[used++]);
        return ([.. groups[used..].SelectMany(g => g)], [.. validation]);
    }

    private static int Kept(int count, double share) => count < 2 ? 0 : Math.Clamp((int)Math.Round(count * share), 1, count - 1);

    private static double TimeOf(string? value, int item)
    {
        if (TableField.TryNumber(value, out var number))
            return number;
        if (DateTimeOffset.TryParse(value, System.Globalization.CultureInfo.InvariantCulture, System.Globalization.DateTimeStyles.AssumeUniversal, out var time))
            return time.ToUnixTimeMilliseconds();
        throw new ProblemException(ProblemCodes.ColumnInvalid, $"The split goes by time, but item {item + 1} has '{value}' in 'data.split.column', which is neither a number nor a time such as 2026-03-01T12:00:00Z.", ("item", item + 1), ("value", value));
    }

    private static HashSet<int> Duplicates(int[] all, Func<int, UInt128> content)
    {
        var seen = new HashSet<UInt128>();
        return [.. all.Where(i => !seen.Add(content(i)))];
    }

    private static void Require(SplitItems items, int[] train, int[] validation)
    {
        if (train.Length == 0 || validation.Length == 0)
        {
            throw new ProblemException(
                ProblemCodes.DatasetEmpty,
                $"Of {items.Count:N0} {items.Noun}, {train.Length:N0} are to train on and {validation.Length:N0} to validate on; both need at least one. Give more {items.Noun}, or a higher 'limit'.",
                ("trainImages", train.Length), ("validationImages", validation.Length));
        }

        if (items.Classes is { } classes && train.Select(i => classes[i]).Distinct().Count() < 2)
        {
            throw new ProblemException(
                ProblemCodes.DatasetOneClass, $"All {train.Length:N0} training {items.Noun} are of one class, so there is nothing to learn. Give {items.Noun} of at least two classes.", ("trainImages", train.Length));
        }
    }
}
