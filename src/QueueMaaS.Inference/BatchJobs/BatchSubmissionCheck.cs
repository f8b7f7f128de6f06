using System.Globalization;
using System.Text.Json;
using QueueMaaS.Contracts;
using QueueMaaS.Inference.Preparation;
using QueueMaaS.Jobs.Catalog;
using QueueMaaS.Jobs.Life;
using QueueMaaS.Jobs.Submission;

namespace QueueMaaS.Inference.BatchJobs;

/// <summary>Refuses batch jobs that cannot succeed, as far as that can be told without reading the whole of their input.</summary>
public sealed class BatchSubmissionCheck(IModelCatalog models, IDatasetCatalog datasets, IArtifactStore artifacts, IJobStore jobs) : ISubmissionCheck
{
    public JobKind Kind => JobKind.Batch;

    public async Task<CheckedInput> CheckAsync(string tenant, JsonElement input, CancellationToken cancellationToken)
    {
        var batch = SubmissionReader.ReadInput<BatchInput>(input);
        CheckRanges(batch);
        if (new[] { batch.Dataset, batch.Artifact, batch.Url, batch.Path, batch.RetryOf }.Count(static given => given is not null) != 1)
            throw new ProblemException(ProblemCodes.InvalidRequest, "Give exactly one of `dataset`, `artifact`, `url`, `path` and `retryOf`: where the items are.", ("path", "input"));
        if (batch.RetryOf is { } earlier)
            batch = await OfEarlierAsync(tenant, batch, earlier, cancellationToken);
        if (string.IsNullOrEmpty(batch.Model))
            throw new ProblemException(ProblemCodes.InvalidRequest, "`model` must name the model.", ("path", "input.model"));
        var version = await models.RequireServedAsync(tenant, batch.Model, cancellationToken);
        var dataset = batch.Dataset is null ? null : await datasets.RequireAsync(tenant, batch.Dataset, cancellationToken);
        var isImages = dataset?.Card.Width > 0 || batch.Format == BatchFormat.Images;
        if (batch.Artifact is not null)
        {
            await using var content = await artifacts.OpenAsync(batch.Artifact, cancellationToken);
            isImages |= (batch.Format ?? await BatchSources.DetectAsync(content, cancellationToken)) == BatchFormat.Images;
        }

        if (isImages && version.Pipeline?.Image is null)
            throw new ProblemException(ProblemCodes.ImageInputUnsupported, $"Model `{version.Name}@{version.Version}` has no image pipeline, so it cannot read images.");
        if (batch.Output is BatchOutputFormat.Csv or BatchOutputFormat.Parquet && version.Pipeline?.Postprocess?.Detections is not null)
            throw Invalid("output", "`jsonl` for a model that finds objects: they have no place in a table");
        return new(batch.Model);
    }

    /// <summary>An earlier job's input, with what the new one says otherwise.</summary>
    internal static BatchInput Merge(BatchInput earlier, BatchInput retry) => earlier with
    {
        Model = retry.Model ?? earlier.Model,
        Limit = null,
        ChunkSize = retry.ChunkSize ?? earlier.ChunkSize,
        BatchSize = retry.BatchSize ?? earlier.BatchSize,
        Concurrency = retry.Concurrency ?? earlier.Concurrency,
        MaxErrorShare = retry.MaxErrorShare,
        CompletionWindow = retry.CompletionWindow,
        TopK = retry.TopK ?? earlier.TopK,
        Output = retry.Output,
    };

    /// <summary>A time such as <c>90m</c>, <c>24h</c> or <c>7d</c>; null where it is none.</summary>
    public static TimeSpan? Window(string text) =>
        text.Length > 1 && double.TryParse(text[..^1], NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number) && number > 0
            ? text[^1] switch
            {
                's' => TimeSpan.FromSeconds(number),
                'm' => TimeSpan.FromMinutes(number),
                'h' => TimeSpan.FromHours(number),
                'd' when number <= 365 => TimeSpan.FromDays(number),
                _ => null,
            }
            : null;

    private async Task<BatchInput> OfEarlierAsync(string tenant, BatchInput retry, string id, CancellationToken cancellationToken)
    {
        var earlier = await jobs.FindAsync(tenant, id, cancellationToken);
        if (earlier is not { Kind: JobKind.Batch })
            throw new ProblemException(ProblemCodes.JobNotFound, $"`retryOf` names the batch job `{id}`, which there is not.", ("jobId", id), ("path", "input.retryOf"));
        if (earlier.FinishedAt is null)
            throw new ProblemException(ProblemCodes.JobStateConflict, $"Batch job `{id}` is {earlier.State.ToString().ToLowerInvariant()}; items are retried of one that has ended.", ("state", earlier.State));
        // What had failed of one that was stopped is found out when the job begins: its chunks have to be joined for it.
        if (earlier.State == JobState.Succeeded && JsonSerializer.Deserialize<BatchOutput>(earlier.Output!, QueueMaaSJson.Relaxed)!.Failed == 0)
            throw new ProblemException(ProblemCodes.JobStateConflict, $"No item of batch job `{id}` has failed, so there is nothing to retry.", ("jobId", id));
        return Merge(SubmissionReader.ReadInput<BatchInput>(JsonElement.Parse(earlier.Input)), retry);
    }

    private static void CheckRanges(BatchInput batch)
    {
        InferenceRequestCheck.CheckTopK(batch.TopK);
        if (batch.ChunkSize is < 1 or > 1_000_000)
            throw Invalid("chunkSize", "a whole number from 1 to 1,000,000");
        if (batch.BatchSize is < 1 or > 1024)
            throw Invalid("batchSize", "a whole number from 1 to 1,024");
        if (batch.Concurrency is < 1 or > 1000)
            throw Invalid("concurrency", "a whole number from 1 to 1,000");
        if (batch.Limit is < 1)
            throw Invalid("limit", "at least 1");
        if (batch.MaxErrorShare is not (null or (>= 0 and <= 1)))
            throw Invalid("maxErrorShare", "from 0 to 1");
        if (batch.Split is not null && !Identifiers.IsSplit(batch.Split))
            throw Invalid("split", "`train`, `test`, `val` or `all`");
        if (batch.CompletionWindow is { } window && Window(window) is null)
            throw Invalid("completionWindow", "a number with `s`, `m`, `h` or `d` behind it, such as `24h`");
        if (batch.Url is { } url && (!Uri.TryCreate(url, UriKind.Absolute, out var address) || address.Scheme is not ("http" or "https")))
            throw Invalid("url", "an absolute http or https address");
        if (batch.Metadata is { } metadata && (metadata.Count > 16 || metadata.Any(static pair => pair.Key.Length > 64 || pair.Value.Length > 512)))
            throw Invalid("metadata", "at most 16 pairs, of names up to 64 characters and values up to 512");
        if (batch is { Format: BatchFormat.OpenAi, Output: not BatchOutputFormat.Jsonl })
            throw Invalid("output", "`jsonl` for OpenAI's batch files");
    }

    private static ProblemException Invalid(string field, string range) => new(ProblemCodes.InvalidValue, $"`{field}` must be {range}.", ("path", $"input.{field}"));
}
