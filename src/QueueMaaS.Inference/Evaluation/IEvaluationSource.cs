using QueueMaaS.Inference.BatchJobs.Sources;
using QueueMaaS.Inference.Evaluation.Statistics;

namespace QueueMaaS.Inference.Evaluation;

/// <summary>Items that are computed together, and what is true of each.</summary>
/// <param name="Group">The items.</param>
/// <param name="Truths">What is true of them.</param>
/// <param name="Unreadable">Which of them the data set cannot give to any model: a damaged image, a row without its truth.</param>
internal sealed record EvaluationGroup(ItemGroup Group, IReadOnlyList<ItemTruth> Truths, IReadOnlyList<bool> Unreadable);

/// <summary>What is told of an item that a model got wrong.</summary>
/// <param name="Name">Images: its name.</param>
/// <param name="Picture">Images: a data URL.</param>
/// <param name="Row">Tables: its first columns.</param>
internal sealed record ItemDescription(string? Name, string? Picture, IReadOnlyDictionary<string, string>? Row);

/// <summary>A split of a data set with the truth of its items. Items are told apart by their places in it, from 0.</summary>
internal interface IEvaluationSource
{
    /// <summary>Items of the split.</summary>
    int Count { get; }

    /// <summary>Tables: the column with the truth, or the columns with commas.</summary>
    string? Target { get; }

    /// <summary>Reads all items, made ready for a model.</summary>
    /// <exception cref="Contracts.ProblemException">The data set has another signature than the model.</exception>
    IAsyncEnumerable<EvaluationGroup> ReadAsync(ServedModel model, int size, CancellationToken cancellationToken);

    /// <summary>By what the items can be divided, after they were read.</summary>
    IReadOnlyList<SliceColumn> Slices();

    /// <summary>What is told of an item.</summary>
    Task<ItemDescription> DescribeAsync(int place, CancellationToken cancellationToken);
}
