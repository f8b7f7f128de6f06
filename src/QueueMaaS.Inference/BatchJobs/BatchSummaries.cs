using System.Text.Json;
using QueueMaaS.Contracts;
using QueueMaaS.Inference.BatchJobs.Outputs;
using QueueMaaS.Jobs.Catalog;
using QueueMaaS.Jobs.Life;

namespace QueueMaaS.Inference.BatchJobs;

/// <summary>Joins what the chunks of a batch job gave, all of them or those that are done so far.</summary>
public sealed class BatchSummaries(IJobStore store, IModelCatalog models, IArtifactStore artifacts)
{
    private readonly PartJoiner _joiner = new(artifacts);

    /// <summary>What is done so far of a job that has not succeeded: its files hold the chunks that have ended, in input order.</summary>
    /// <exception cref="ProblemException"><c>job_state_conflict</c>: no chunk was ever made.</exception>
    public async Task<BatchOutput> PartialAsync(JobRecord job, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(job);
        var children = await store.ChildrenAsync(job.Id, cancellationToken);
        if (children is not [var first, ..])
            throw new ProblemException(ProblemCodes.JobStateConflict, $"Batch job `{job.Id}` has not begun with its items, so there are no results yet.", ("jobId", job.Id));
        var chunk = JsonSerializer.Deserialize<ChunkInput>(first.Input, QueueMaaSJson.Relaxed)!;
        var version = await models.RequireServedAsync(job.Tenant, chunk.Batch.Model!, cancellationToken);
        var done = Done(children);
        var ended = job.FinishedAt ?? job.StartedAt ?? job.CreatedAt;
        var items = job.Progress is null ? done.Sum(static output => (long)output.Succeeded + output.Failed) : JsonSerializer.Deserialize<BatchProgress>(job.Progress, QueueMaaSJson.Relaxed)!.Items;
        return await JoinAsync(version, chunk.Batch, done, items, (ended - (job.StartedAt ?? ended)).TotalSeconds, cancellationToken) with { Partial = true };
    }

    /// <summary>The results of the chunks that have ended well, in input order.</summary>
    internal static ChunkOutput[] Done(IEnumerable<JobRecord> children) =>
        [.. children.Where(static child => child.State == JobState.Succeeded).OrderBy(static child => child.Id, StringComparer.Ordinal).Select(static child => JsonSerializer.Deserialize<ChunkOutput>(child.Output!, QueueMaaSJson.Relaxed)!)];

    internal async Task<BatchOutput> JoinAsync(ModelVersion version, BatchInput input, IReadOnlyList<ChunkOutput> chunks, long items, double seconds, CancellationToken cancellationToken)
    {
        var labels = version.Pipeline?.Labels;
        var labelled = chunks.Sum(static chunk => chunk.Labelled);
        var sizes = chunks.SelectMany(static chunk => chunk.RowsByBatchSize).GroupBy(static entry => entry.Key)
            .OrderBy(static group => group.Key).ToDictionary(static group => group.Key, static group => (int)Math.Ceiling((double)group.Sum(static entry => (long)entry.Value) / group.Key));
        var batches = sizes.Values.Sum(static count => (long)count);
        return new BatchOutput
        {
            Model = version.Name,
            Version = version.Version,
            Items = items,
            Succeeded = chunks.Sum(static chunk => (long)chunk.Succeeded),
            Failed = chunks.Sum(static chunk => (long)chunk.Failed),
            OutputArtifact = (await _joiner.JoinOutputsAsync(input.Output, chunks, cancellationToken)).Id,
            ErrorArtifact = (await _joiner.JoinErrorsAsync(chunks, cancellationToken)).Id,
            Accuracy = labelled == 0 ? null : (double)chunks.Sum(static chunk => chunk.Correct) / labelled,
            ConfusionMatrix = Sum([.. chunks.Select(static chunk => chunk.Confusion).OfType<IReadOnlyList<IReadOnlyList<int>>>()]),
            Labels = labels,
            LabelCounts = labels is null ? null : labels.Index().ToDictionary(static label => label.Item, label => chunks.Sum(chunk => (long)(chunk.LabelCounts?[label.Index] ?? 0)), StringComparer.Ordinal),
            BatchSizes = sizes,
            MeanBatchSize = batches == 0 ? null : Math.Round((double)sizes.Sum(static entry => (long)entry.Key * entry.Value) / batches, 2),
            MeanBatchMs = batches == 0 ? null : Math.Round(chunks.Sum(static chunk => chunk.ComputeMs) / batches, 3),
            Seconds = seconds,
        };
    }

    private static int[][]? Sum(IReadOnlyList<IReadOnlyList<IReadOnlyList<int>>> matrices) => matrices.Count == 0
        ? null
        : [.. Enumerable.Range(0, matrices[0].Count).Select(row => Enumerable.Range(0, matrices[0].Count).Select(column => matrices.Sum(matrix => matrix[row][column])).ToArray())];
}
