using System.Text.Json;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Catalog;
using QueueMaaS.Jobs.Execution;
using QueueMaaS.Jobs.Life;
using QueueMaaS.Jobs.Submission;

namespace QueueMaaS.Inference.Jobs;

/// <summary>Plans a batch job, waits for its chunks, and joins their files in order. It may die and be taken over at any point: plan and join give the same again.</summary>
public sealed class BatchJobExecutor(IJobStore store, JobSubmitter submitter, BatchPlan plan, IArtifactStore artifacts, TimeProvider time) : IJobExecutor
{
    private static readonly TimeSpan LookEvery = TimeSpan.FromMilliseconds(250);

    public JobKind Kind => JobKind.Batch;

    public async Task<object> ExecuteAsync(JobAttempt attempt, CancellationToken cancellationToken)
    {
        var started = time.GetTimestamp();
        var input = SubmissionReader.ReadInput<BatchInput>(JsonElement.Parse(attempt.Job.Input));
        var children = await store.ChildrenAsync(attempt.Job.Id, cancellationToken);
        // The version is pinned by the first plan: an alias that moves while the job runs must not mix two models.
        if (children is [var first, ..])
            input = input with { Model = JsonSerializer.Deserialize<ChunkInput>(first.Input, QueueMaaSJson.Relaxed)!.Model };
        var (chunks, items, version) = await plan.MakeAsync(attempt.Job.Tenant, attempt.Job.Id, input, cancellationToken);
        await submitter.SubmitChildrenAsync(attempt.Job, [.. chunks.Select(chunk => (chunk.Id, JsonSerializer.Serialize(chunk.Input, QueueMaaSJson.Relaxed)))], cancellationToken);

        var done = await WaitAsync(attempt, chunks.Count, items, started, cancellationToken);
        var outputs = done.Select(child => JsonSerializer.Deserialize<ChunkOutput>(child.Output!, QueueMaaSJson.Relaxed)!).ToArray();
        return await JoinAsync(version, input, outputs, items, time.GetElapsedTime(started).TotalSeconds, cancellationToken);
    }

    private async Task<IReadOnlyList<JobRecord>> WaitAsync(JobAttempt attempt, int chunks, int items, long started, CancellationToken cancellationToken)
    {
        using var timer = new PeriodicTimer(LookEvery, time);
        BatchProgress? reported = null;
        while (true)
        {
            var children = await store.ChildrenAsync(attempt.Job.Id, cancellationToken);
            if (children.FirstOrDefault(child => child.State is JobState.Failed or JobState.Cancelled or JobState.Expired) is { } broken)
                throw Broken(broken);
            var ended = children.Where(child => child.State == JobState.Succeeded).Select(child => JsonSerializer.Deserialize<ChunkOutput>(child.Output!, QueueMaaSJson.Relaxed)!).ToArray();
            var failed = ended.Sum(output => output.Failed);
            var done = ended.Sum(output => output.Succeeded) + failed;
            var progress = new BatchProgress(items, done, failed, chunks, ended.Length, Math.Round(done / Math.Max(0.001, time.GetElapsedTime(started).TotalSeconds), 1));
            if (reported is null || reported.ChunksDone != progress.ChunksDone)
                await attempt.ReportAsync(reported = progress, cancellationToken);
            if (ended.Length == chunks)
                return [.. children.OrderBy(child => child.Id, StringComparer.Ordinal)];
            await timer.WaitForNextTickAsync(cancellationToken);
        }
    }

    /// <summary>The other chunks go on: when the job is requeued, with its failed chunks, their results are there.</summary>
    private static ProblemException Broken(JobRecord chunk)
    {
        var cause = chunk.Error is null ? null : JsonSerializer.Deserialize<Problem>(chunk.Error, QueueMaaSJson.Relaxed);
        return new ProblemException(
            ProblemCodes.BatchFailed, $"Chunk `{chunk.Id}` {chunk.State.ToString().ToLowerInvariant()}: {cause?.Message ?? "no reason is known."}", ("chunk", chunk.Id), ("cause", cause));
    }

    private async Task<BatchOutput> JoinAsync(ModelVersion version, BatchInput input, IReadOnlyList<ChunkOutput> chunks, int items, double seconds, CancellationToken cancellationToken)
    {
        var failed = chunks.Sum(chunk => chunk.Failed);
        var errors = await ConcatenateAsync(chunks.Select(chunk => chunk.ErrorArtifact), cancellationToken);
        if (failed > (input.MaxErrorShare ?? 1) * items)
        {
            throw new ProblemException(
                ProblemCodes.BatchFailed, $"{failed} of {items} items failed, more than the allowed share of {input.MaxErrorShare}. The error file names each.",
                ("failed", failed), ("items", items), ("errorArtifact", errors.Id));
        }

        var labelled = chunks.Sum(chunk => chunk.Labelled);
        return new BatchOutput
        {
            Model = version.Name,
            Version = version.Version,
            Items = items,
            Succeeded = chunks.Sum(chunk => chunk.Succeeded),
            Failed = failed,
            OutputArtifact = (await ConcatenateAsync(chunks.Select(chunk => chunk.OutputArtifact), cancellationToken)).Id,
            ErrorArtifact = errors.Id,
            Accuracy = labelled == 0 ? null : (double)chunks.Sum(chunk => chunk.Correct) / labelled,
            ConfusionMatrix = labelled == 0 ? null : Sum([.. chunks.Select(chunk => chunk.Confusion).OfType<IReadOnlyList<IReadOnlyList<int>>>()]),
            Labels = version.Pipeline?.Labels,
            BatchSizes = chunks.SelectMany(chunk => chunk.RowsByBatchSize).GroupBy(entry => entry.Key)
                .OrderBy(group => group.Key).ToDictionary(group => group.Key, group => (int)Math.Ceiling((double)group.Sum(entry => entry.Value) / group.Key)),
            Seconds = seconds,
        };
    }

    private async Task<Artifact> ConcatenateAsync(IEnumerable<string> parts, CancellationToken cancellationToken)
    {
        var path = Path.GetTempFileName();
        try
        {
            await using var joined = new FileStream(path, FileMode.Create, FileAccess.ReadWrite, FileShare.None, 1 << 16, FileOptions.Asynchronous | FileOptions.DeleteOnClose);
            foreach (var part in parts)
            {
                await using var file = File.OpenRead(await artifacts.GetFileAsync(part, cancellationToken));
                await file.CopyToAsync(joined, cancellationToken);
            }

            joined.Position = 0;
            return await artifacts.PutAsync(joined, long.MaxValue, cancellationToken);
        }
        finally
        {
            File.Delete(path);
        }
    }

    private static int[][] Sum(IReadOnlyList<IReadOnlyList<IReadOnlyList<int>>> matrices) =>
        [.. Enumerable.Range(0, matrices[0].Count).Select(row => Enumerable.Range(0, matrices[0].Count).Select(column => matrices.Sum(matrix => matrix[row][column])).ToArray())];
}
