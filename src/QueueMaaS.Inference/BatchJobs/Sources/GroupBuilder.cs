using QueueMaaS.Contracts;
using QueueMaaS.Inference.Preparation;

namespace QueueMaaS.Inference.BatchJobs.Sources;

/// <summary>Encodes the items of a group together, and one by one where that fails, so that a bad one fails alone.</summary>
internal static class GroupBuilder
{
    /// <summary>The group with the tensors of its items.</summary>
    /// <param name="items">Those with an error are left out of the tensors.</param>
    /// <param name="encode">Makes one request of the items at these places, a row for each in their order.</param>
    public static ItemGroup Build(Item[] items, Func<IReadOnlyList<int>, PreparedRequest> encode)
    {
        var good = new List<int>(items.Length);
        for (var i = 0; i < items.Length; i++)
        {
            if (items[i].Error is null)
                good.Add(i);
        }

        if (good.Count == 0)
            return new(items, null);
        try
        {
            return new(items, encode(good));
        }
        catch (ProblemException) when (good.Count > 1)
        {
            foreach (var i in good)
            {
                try
                {
                    items[i] = items[i] with { Request = encode([i]) };
                }
                catch (ProblemException e)
                {
                    items[i] = items[i] with { Error = e.Problem };
                }
            }

            return new(items, null);
        }
        catch (ProblemException e)
        {
            items[good[0]] = items[good[0]] with { Error = e.Problem };
            return new(items, null);
        }
    }
}
