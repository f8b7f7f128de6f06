using System.Text.Json;
using QueueMaaS.Contracts;
using QueueMaaS.Inference.BatchJobs.Sources;
using QueueMaaS.Inference.Jobs;
using QueueMaaS.Jobs.Catalog;
using QueueMaaS.Jobs.Life;
using QueueMaaS.Jobs.Submission;

namespace QueueMaaS.Inference.BatchJobs;

/// <summary>A batch job with everything pinned, and what was found in its input.</summary>
/// <param name="Chunk">What all its chunks have in common; first item, offset and count are those of none.</param>
/// <param name="Version">The model version.</param>
/// <param name="Model">The version with its file.</param>
/// <param name="Scan">The items.</param>
/// <param name="Stride">Chunks begin at multiples of it.</param>
/// <param name="Selection">The numbers of the items wanted, ascending; null for all.</param>
internal sealed record PreparedBatch(ChunkInput Chunk, ModelVersion Version, ServedModel Model, SourceScan Scan, int Stride, long[]? Selection)
{
    /// <summary>How many items are to be computed.</summary>
    public long Items => Selection?.Length ?? Scan.Items;

    /// <summary>The wanted items from <paramref name="first"/> to before <paramref name="end"/>.</summary>
    public int CountWanted(long first, long end)
    {
        if (Selection is null)
            return (int)(end - first);
        var (from, to) = (Array.BinarySearch(Selection, first + 1), Array.BinarySearch(Selection, end + 1));
        return (to < 0 ? ~to : to) - (from < 0 ? ~from : from);
    }
}

/// <summary>Pins a batch job: the model's version, the file and its format. What the first chunk says was pinned before stands.</summary>
public sealed class BatchPreparation(
    IModelCatalog models, IDatasetCatalog datasets, IArtifactStore artifacts, IJobStore jobs, FileImporter importer, Predictor predictor, BatchSources sources, BatchSummaries summaries, DatasetTables tables)
{
    private const int DefaultStride = 256;

    /// <exception cref="ProblemException">The input cannot be read at all, with the place.</exception>
    internal async Task<PreparedBatch> PrepareAsync(JobRecord job, ChunkInput? pinned, CancellationToken cancellationToken)
    {
        var chunk = pinned ?? await PinAsync(job, cancellationToken);
        var version = await models.RequireServedAsync(job.Tenant, chunk.Batch.Model!, cancellationToken);
        var model = await predictor.ServeAsync(version, cancellationToken);
        if (pinned is null)
            chunk = chunk with { GroupSize = GroupSizes.Choose(model, chunk.Batch.BatchSize) };
        // Chunks begin where groups do, so that the same items are computed together however the chunks fall.
        var stride = chunk.Batch.ChunkSize ?? (DefaultStride + chunk.GroupSize - 1) / chunk.GroupSize * chunk.GroupSize;
        await using var source = await sources.OpenAsync(chunk.Batch, chunk.DatasetArtifact, model, cancellationToken);
        var scan = await source.ScanAsync(stride, chunk.Batch.Limit ?? long.MaxValue, cancellationToken);
        if (scan.Items == 0)
            throw new ProblemException(ProblemCodes.DatasetEmpty, "The batch job's input has no items.");
        var selection = chunk.Selection is { } selected ? await sources.ReadSelectionAsync(selected, cancellationToken) : null;
        return new(chunk, version, model, scan, stride, selection);
    }

    private async Task<ChunkInput> PinAsync(JobRecord job, CancellationToken cancellationToken)
    {
        var input = SubmissionReader.ReadInput<BatchInput>(JsonElement.Parse(job.Input));
        string? selection = null;
        if (input.RetryOf is { } id)
        {
            var earlier = await jobs.FindAsync(job.Tenant, id, cancellationToken) ?? throw new ProblemException(ProblemCodes.JobNotFound, $"There is no batch job `{id}`.", ("jobId", id));
            input = await EarlierAsync(job, earlier, input, cancellationToken);
            selection = await sources.StoreSelectionAsync(await FailedAsync(earlier, cancellationToken), cancellationToken);
        }

        var version = await models.RequireServedAsync(job.Tenant, input.Model!, cancellationToken);
        input = input with { Model = $"{version.Name}@{version.Version}" };
        if (input.Dataset is not null)
        {
            var dataset = await datasets.RequireAsync(job.Tenant, input.Dataset, cancellationToken);
            if (dataset.Card.Width == 0)
                return new() { Batch = await tables.OpenAsync(input, dataset, version, cancellationToken), First = 0, Count = 0, GroupSize = 1, Selection = selection };
            return new() { Batch = input with { Dataset = $"{dataset.Name}@{dataset.Version}" }, DatasetArtifact = dataset.Artifact, First = 0, Count = 0, GroupSize = 1, Selection = selection };
        }

        if (input.Url is { } url)
            input = input with { Url = null, Artifact = (await importer.DownloadAsync(url, cancellationToken)).Id };
        if (input.Path is { } path)
            input = input with { Path = null, Artifact = (await importer.ReadAsync(path, cancellationToken)).Id };
        var format = input.Format ?? await DetectAsync(input.Artifact!, cancellationToken);
        // Requests are answered as OpenAI does; in any other form they are items, and each of them says what it should be.
        if (input.Format is null && format == BatchFormat.OpenAi && input.Output != BatchOutputFormat.Jsonl)
            format = BatchFormat.Jsonl;
        if (format == BatchFormat.Npz)
            (input, format) = (input with { Artifact = await sources.UnpackAsync(input.Artifact!, input.Array, cancellationToken) }, BatchFormat.Npy);
        return new() { Batch = input with { Format = format }, First = 0, Count = 0, GroupSize = 1, Selection = selection };
    }

    /// <summary>The earlier job's input as it was pinned then: an address may give another file by now, an alias mean another version.</summary>
    private async Task<BatchInput> EarlierAsync(JobRecord job, JobRecord earlier, BatchInput retry, CancellationToken cancellationToken)
    {
        var children = await jobs.ChildrenAsync(earlier.Id, cancellationToken);
        var pinned = children is [var first, ..] && first.Tenant == job.Tenant
            ? JsonSerializer.Deserialize<ChunkInput>(first.Input, QueueMaaSJson.Relaxed)!.Batch
            : SubmissionReader.ReadInput<BatchInput>(JsonElement.Parse(earlier.Input));
        return BatchSubmissionCheck.Merge(pinned, retry);
    }

    private async Task<BatchFormat> DetectAsync(string artifact, CancellationToken cancellationToken)
    {
        await using var content = await artifacts.OpenAsync(artifact, cancellationToken);
        return await BatchSources.DetectAsync(content, cancellationToken);
    }

    private async Task<IReadOnlyList<long>> FailedAsync(JobRecord earlier, CancellationToken cancellationToken)
    {
        // One that was stopped has the items that had failed by then.
        var output = earlier.State == JobState.Succeeded
            ? JsonSerializer.Deserialize<BatchOutput>(earlier.Output!, QueueMaaSJson.Relaxed)!
            : await summaries.PartialAsync(earlier, cancellationToken);
        if (output.Failed == 0)
            throw new ProblemException(ProblemCodes.JobStateConflict, $"No item of batch job `{earlier.Id}` had failed when it ended, so there is nothing to retry. Requeue it to go on with it.", ("jobId", earlier.Id));
        var numbers = new SortedSet<long>();
        await using var errors = await artifacts.OpenAsync(output.ErrorArtifact, cancellationToken);
        await foreach (var line in JsonLines.ReadAsync(errors, cancellationToken))
        {
            using var error = JsonDocument.Parse(line.Bytes);
            numbers.Add(error.RootElement.TryGetProperty("item", out var item) ? item.GetInt64() : long.Parse(error.RootElement.GetProperty("id").GetString()!["batch_req_".Length..], System.Globalization.CultureInfo.InvariantCulture));
        }

        return [.. numbers];
    }
}
