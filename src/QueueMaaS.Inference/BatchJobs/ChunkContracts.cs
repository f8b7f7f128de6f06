using QueueMaaS.Contracts;

namespace QueueMaaS.Inference.BatchJobs;

/// <summary>The input of a chunk job: a part of a batch job with everything pinned, so that each worker computes the same.</summary>
public sealed record ChunkInput
{
    /// <summary>The job's input, its model pinned to a version, its file to an artifact and a format.</summary>
    public required BatchInput Batch { get; init; }

    /// <summary>The data set's archive, where the items come from one.</summary>
    public string? DatasetArtifact { get; init; }

    /// <summary>The first item, from 0.</summary>
    public required long First { get; init; }

    /// <summary>Where it begins in a file that is read from the front.</summary>
    public long Offset { get; init; }

    /// <summary>How many items.</summary>
    public required int Count { get; init; }

    /// <summary>Items that are computed together.</summary>
    public required int GroupSize { get; init; }

    /// <summary>The numbers of the items wanted (an artifact of 8-byte integers, ascending); null for all.</summary>
    public string? Selection { get; init; }
}

/// <summary>The result of a chunk job.</summary>
public sealed record ChunkOutput
{
    public required string OutputArtifact { get; init; }
    public required string ErrorArtifact { get; init; }
    public required int Succeeded { get; init; }
    public required int Failed { get; init; }
    public int Labelled { get; init; }
    public int Correct { get; init; }

    /// <summary>Counts by (true label, predicted label), as positions in the model's labels.</summary>
    public IReadOnlyList<IReadOnlyList<int>>? Confusion { get; init; }

    /// <summary>How often each label was the best one, in the order of the model's.</summary>
    public IReadOnlyList<int>? LabelCounts { get; init; }

    /// <summary>Rows by the size of the batch that they were computed in.</summary>
    public required IReadOnlyDictionary<int, int> RowsByBatchSize { get; init; }

    /// <summary>Milliseconds of computation in all its batches.</summary>
    public double ComputeMs { get; init; }

    /// <summary>Tables: names of the columns. Null where no item succeeded.</summary>
    public IReadOnlyList<string>? Columns { get; init; }

    /// <summary>Arrays: the datatype and the shape of one entry. Null where no item succeeded.</summary>
    public string? Datatype { get; init; }
    public IReadOnlyList<long>? EntryShape { get; init; }
}
