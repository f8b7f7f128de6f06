using System.Globalization;
using QueueMaaS.Contracts;
using QueueMaaS.Inference.Preparation;

namespace QueueMaaS.Inference.BatchJobs.Sources;

/// <summary>An item of a batch job's input.</summary>
/// <param name="Number">Its place in the input, from 1.</param>
/// <param name="OwnId">Its own id; null where it has none.</param>
/// <param name="Label">The true label where it is known.</param>
/// <param name="Request">Its tensors; null where it cannot be read, or where they stand in the group's <see cref="ItemGroup.Rows"/>.</param>
/// <param name="Error">Why it cannot be read.</param>
internal readonly record struct Item(long Number, string? OwnId, string? Label, PreparedRequest? Request, Problem? Error)
{
    /// <summary>Its own id, or its number.</summary>
    public string Id => OwnId ?? Number.ToString(CultureInfo.InvariantCulture);
}

/// <summary>Items that follow one another in the input and are computed together.</summary>
/// <param name="Items">In the order of the input.</param>
/// <param name="Rows">The tensors of all items that have no error, one row each, where the source gives them as one; else null.</param>
internal sealed record ItemGroup(IReadOnlyList<Item> Items, PreparedRequest? Rows)
{
    /// <summary>The memory of <see cref="Rows"/> where it is lent: whoever has done with the group, and knows that nobody computes on it any more, gives it back.</summary>
    public byte[]? Lent { get; init; }

    /// <summary>No others than the items with these numbers, each with tensors of its own.</summary>
    public ItemGroup Only(IReadOnlySet<long> numbers)
    {
        var (kept, row) = (new List<Item>(), 0);
        foreach (var item in Items)
        {
            var inRows = item.Error is null && item.Request is null;
            var at = inRows ? row++ : -1;
            if (!numbers.Contains(item.Number))
                continue;
            kept.Add(inRows ? item with { Request = Rows! with { Inputs = [.. Rows.Inputs.Select(input => input.Rows(at, 1))], Rows = 1 } } : item);
        }

        return new(kept, null);
    }
}

/// <summary>What a source was found to hold.</summary>
/// <param name="Items">How many items.</param>
/// <param name="Offsets">For files that are read from the front: where every n-th item begins, n being the stride of the scan. Empty for those that are read from anywhere.</param>
internal sealed record SourceScan(long Items, IReadOnlyList<long> Offsets)
{
    /// <summary>Where chunks end, ascending, the last at the end of the items: of a source that is cheap to read in certain parts only. Null where any place will do.</summary>
    public IReadOnlyList<long>? Borders { get; init; }
}

/// <summary>Where items come from. A source is opened anew for each chunk.</summary>
internal interface IItemSource : IAsyncDisposable
{
    /// <summary>Reads through the whole of it: counts the items, and refuses what cannot be read at all or has an id twice.</summary>
    /// <exception cref="ProblemException">The place and the reason.</exception>
    Task<SourceScan> ScanAsync(int stride, long limit, CancellationToken cancellationToken);

    /// <summary>Reads items <paramref name="first"/> (from 0) and on, in groups of <paramref name="size"/>, the last of which may be smaller.</summary>
    /// <param name="first">The first item.</param>
    /// <param name="offset">Its place in the file, as the scan told it.</param>
    /// <param name="count">How many items.</param>
    /// <param name="size">Items of a group.</param>
    /// <param name="cancellationToken">Stops between groups.</param>
    IAsyncEnumerable<ItemGroup> ReadAsync(long first, long offset, int count, int size, CancellationToken cancellationToken);
}
