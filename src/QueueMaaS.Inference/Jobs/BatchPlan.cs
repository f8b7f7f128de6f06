using System.Text.Json;
using QueueMaaS.Contracts;
using QueueMaaS.Data.Archives;
using QueueMaaS.Inference.Preparation;
using QueueMaaS.Jobs.Catalog;
using QueueMaaS.Jobs.Submission;

namespace QueueMaaS.Inference.Jobs;

/// <summary>The input of a chunk job: a part of a batch job with everything pinned, so that each worker computes the same.</summary>
public sealed record ChunkInput
{
    public required string Model { get; init; }
    public required int Start { get; init; }
    public required int Count { get; init; }
    public required int TopK { get; init; }

    /// <summary>The data set's archive and split, or …</summary>
    public string? DatasetArtifact { get; init; }
    public string? Split { get; init; }

    /// <summary>… the JSONL file and where in it the chunk's first line begins.</summary>
    public string? Artifact { get; init; }
    public long Offset { get; init; }
}

/// <summary>The result of a chunk job.</summary>
public sealed record ChunkOutput
{
    public required string OutputArtifact { get; init; }
    public required string ErrorArtifact { get; init; }
    public required int Succeeded { get; init; }
    public required int Failed { get; init; }
    public required int Labelled { get; init; }
    public required int Correct { get; init; }

    /// <summary>Counts by (true label, predicted label), as positions in the model's labels.</summary>
    public IReadOnlyList<IReadOnlyList<int>>? Confusion { get; init; }

    /// <summary>Rows by the size of the batch that they were computed in.</summary>
    public required IReadOnlyDictionary<int, int> RowsByBatchSize { get; init; }
}

/// <summary>Refuses batch jobs that cannot succeed.</summary>
public sealed class BatchSubmissionCheck(IModelCatalog models, IDatasetCatalog datasets, IArtifactStore artifacts) : ISubmissionCheck
{
    public JobKind Kind => JobKind.Batch;

    public async Task<string?> CheckAsync(string tenant, JsonElement input, CancellationToken cancellationToken)
    {
        var batch = SubmissionReader.ReadInput<BatchInput>(input);
        InferenceRequestCheck.CheckTopK(batch.TopK);
        if (batch.ChunkSize is < 1 or > 10_000)
            throw Invalid("chunkSize", "a whole number from 1 to 10,000");
        if (batch.Limit is < 1)
            throw Invalid("limit", "at least 1");
        if (batch.MaxErrorShare is < 0 or > 1)
            throw Invalid("maxErrorShare", "from 0 to 1");
        if (batch.Split is not (null or "train" or "test" or "val" or "all"))
            throw Invalid("split", "`train`, `test`, `val` or `all`");
        if (batch.Dataset is null == batch.Artifact is null)
            throw new ProblemException(ProblemCodes.InvalidRequest, "Give either `dataset` or `artifact` (a JSONL file), one of them and not both.", ("path", "input"));
        var version = await models.RequireServedAsync(tenant, batch.Model, cancellationToken);
        if (batch.Artifact is not null)
        {
            await artifacts.GetFileAsync(batch.Artifact, cancellationToken);
            return batch.Model;
        }

        await datasets.RequireAsync(tenant, batch.Dataset!, cancellationToken);
        if (version.Pipeline?.Image is null)
            throw new ProblemException(ProblemCodes.ImageInputUnsupported, $"Model `{version.Name}@{version.Version}` has no image pipeline, so it cannot read a data set of images.");
        return batch.Model;
    }

    private static ProblemException Invalid(string field, string range) => new(ProblemCodes.InvalidValue, $"`{field}` must be {range}.", ("path", $"input.{field}"));
}

/// <summary>Splits a batch job into chunks. The same job always gives the same chunks, so a planner that takes over finds those of its predecessor.</summary>
public sealed class BatchPlan(IModelCatalog models, IDatasetCatalog datasets, IArtifactStore artifacts)
{
    private const int DefaultChunk = 256;

    /// <summary>The chunks with their ids, and how many items they hold in all.</summary>
    public async Task<(IReadOnlyList<(string Id, ChunkInput Input)> Chunks, int Items, ModelVersion Version)> MakeAsync(string tenant, string jobId, BatchInput input, CancellationToken cancellationToken)
    {
        var version = await models.RequireServedAsync(tenant, input.Model, cancellationToken);
        var model = $"{version.Name}@{version.Version}";
        var size = input.ChunkSize ?? DefaultChunk;
        var topK = input.TopK ?? 1;
        var chunks = new List<(string, ChunkInput)>();
        if (input.Dataset is not null)
        {
            var dataset = await datasets.RequireAsync(tenant, input.Dataset, cancellationToken);
            var split = input.Split ?? "all";
            using var archive = DatasetArchive.Open(await artifacts.GetFileAsync(dataset.Artifact, cancellationToken));
            var items = Math.Min(archive.Count(split == "all" ? null : split), input.Limit ?? int.MaxValue);
            if (items == 0)
                throw new ProblemException(ProblemCodes.DatasetEmpty, $"Data set `{dataset.Name}@{dataset.Version}` has no items in split `{split}`.", ("split", split));
            for (var start = 0; start < items; start += size)
                chunks.Add((IdOf(jobId, chunks.Count), new ChunkInput { Model = model, Start = start, Count = Math.Min(size, items - start), TopK = topK, DatasetArtifact = dataset.Artifact, Split = split }));
            return (chunks, items, version);
        }

        var path = await artifacts.GetFileAsync(input.Artifact!, cancellationToken);
        var line = 0;
        await foreach (var (number, offset, _) in JsonLines.ReadAsync(path, 0, cancellationToken))
        {
            if (number >= (input.Limit ?? int.MaxValue))
                break;
            if (number % size == 0)
                chunks.Add((IdOf(jobId, chunks.Count), new ChunkInput { Model = model, Start = number, Count = size, TopK = topK, Artifact = input.Artifact, Offset = offset }));
            line = number + 1;
        }

        if (line == 0)
            throw new ProblemException(ProblemCodes.DatasetEmpty, "The batch job's file has no lines.");
        var last = chunks[^1];
        chunks[^1] = (last.Item1, last.Item2 with { Count = line - last.Item2.Start });
        return (chunks, line, version);
    }

    private static string IdOf(string jobId, int index) => $"{jobId}:chunk-{index:000000}";
}
