using System.Text.Json;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Execution;
using QueueMaaS.Jobs.Life;
using QueueMaaS.Jobs.Notification;
using QueueMaaS.Jobs.Submission;

namespace QueueMaaS.Inference.BatchJobs;

/// <summary>
/// Leads a batch job: reads through its input once, hands out chunks, a few at a time and each of about two seconds' work, and joins their files in order. It may die and be taken over at any point: what is
/// pinned and what is handed out stands in the chunks themselves, and a finished chunk is never computed again.
/// </summary>
public sealed class BatchJobExecutor(
    IJobStore store, JobSubmitter submitter, BatchPreparation preparation, BatchSummaries summaries, IJobSignals signals, TimeProvider time) : IJobExecutor
{
    private const int DefaultConcurrency = 8;
    private const int MaxChunk = 1 << 16;
    private const int FirstRows = 2048;
    private static readonly TimeSpan ChunkTime = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan LookAnyway = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan ReportEvery = TimeSpan.FromMilliseconds(500);

    public JobKind Kind => JobKind.Batch;

    public async Task<object> ExecuteAsync(JobAttempt attempt, CancellationToken cancellationToken)
    {
        var started = time.GetTimestamp();
        var children = await store.ChildrenAsync(attempt.Job.Id, cancellationToken);
        var pinned = children is [var first, ..] ? JsonSerializer.Deserialize<ChunkInput>(first.Input, QueueMaaSJson.Relaxed) : null;
        await attempt.ReportAsync(new BatchProgress(0, 0, 0, 0, 0, null) { Phase = "validating" }, cancellationToken);
        var batch = await preparation.PrepareAsync(attempt.Job, pinned, cancellationToken);
        var log = new BatchLog(attempt);
        await log.BeginAsync(attempt.Job.Model ?? "its model", batch.Items, children.Count, cancellationToken);
        var done = await RunAsync(attempt, batch, log, cancellationToken);
        return await summaries.JoinAsync(batch.Version, batch.Chunk.Batch, done, batch.Items, time.GetElapsedTime(started).TotalSeconds, cancellationToken);
    }

    private async Task<IReadOnlyList<ChunkOutput>> RunAsync(JobAttempt attempt, PreparedBatch batch, BatchLog log, CancellationToken cancellationToken)
    {
        using var wake = new SemaphoreSlim(0, 1);
        using var subscription = signals.Subscribe(change =>
        {
            if (change.State.IsFinal() && change.Id.StartsWith(attempt.Job.Id, StringComparison.Ordinal) && wake.CurrentCount == 0)
                Wake(wake);
        });
        var reported = time.GetTimestamp() - time.TimestampFrequency;
        while (true)
        {
            var children = await store.ChildrenAsync(attempt.Job.Id, cancellationToken);
            if (children.FirstOrDefault(static child => child.State is JobState.Failed or JobState.Cancelled or JobState.Expired) is { } broken)
                throw Broken(broken);
            var state = Count(children);
            var stop = WhyToStop(attempt.Job, batch, state);
            if (stop is not null && state.Open == 0)
                await GiveUpAsync(batch, state, stop.Value.Code, stop.Value.Message, cancellationToken);
            var ended = state.Next >= batch.Scan.Items && state.Open == 0;
            if (ended || time.GetElapsedTime(reported) >= ReportEvery)
            {
                reported = time.GetTimestamp();
                var progress = Progress(batch, state, children, ended);
                await attempt.ReportAsync(progress, cancellationToken);
                await log.TellAsync(progress, cancellationToken);
            }

            if (ended)
                return state.Done;
            // What is handed out ends in a few seconds, and is then kept like the rest.
            if (stop is null)
                await HandOutAsync(attempt, batch, state, children, cancellationToken);
            await wake.WaitAsync(LookAnyway, cancellationToken);
        }
    }

    private async Task HandOutAsync(JobAttempt attempt, PreparedBatch batch, Standing state, IReadOnlyList<JobRecord> children, CancellationToken cancellationToken)
    {
        var (next, index) = (state.Next, children.Count);
        var made = new List<(string, string)>();
        for (var open = state.Open; open < (batch.Chunk.Batch.Concurrency ?? DefaultConcurrency) && next < batch.Scan.Items; open++)
        {
            var count = (int)(Math.Min(EndOf(batch, state, next), batch.Scan.Items) - next);
            var chunk = batch.Chunk with { First = next, Count = count, Offset = batch.Scan.Offsets.Count > 0 ? batch.Scan.Offsets[(int)(next / batch.Stride)] : 0 };
            next += count;
            // Of a retry, chunks without an item that is wanted are not worth a message; the last one is made all the same, so that its end is seen.
            if (batch.CountWanted(chunk.First, next) == 0 && next < batch.Scan.Items)
            {
                open--;
                continue;
            }

            made.Add(($"{attempt.Job.Id}:chunk-{index++:000000}", JsonSerializer.Serialize(chunk, QueueMaaSJson.Relaxed)));
        }

        if (made.Count > 0)
            await submitter.SubmitChildrenAsync(attempt.Job, made, cancellationToken);
    }

    private static long EndOf(PreparedBatch batch, Standing state, long first) => batch.Scan.Borders is { } borders && batch.Chunk.Batch.ChunkSize is null
        ? borders.First(border => border > first)
        : first + ChunkSize(batch, state);

    /// <summary>As many items as take about two seconds by what the chunks so far took: few enough that progress is seen and little is lost with a worker, enough that the chunk's own cost does not count.</summary>
    private static long ChunkSize(PreparedBatch batch, Standing state)
    {
        if (batch.Chunk.Batch.ChunkSize is { } given)
            return given;
        // Before anything was measured, rows that are read from anywhere are taken to be light, items that have to be decoded are not.
        var wanted = state.ItemsPerSecond is { } speed ? (long)(speed * ChunkTime.TotalSeconds) : batch.Chunk.Batch.Format == BatchFormat.Npy ? FirstRows : 0;
        return Math.Clamp(wanted / batch.Stride, 1, Math.Max(1, MaxChunk / batch.Stride)) * batch.Stride;
    }

    /// <summary>Why the rest is given up, where it is.</summary>
    private (string Code, string Message)? WhyToStop(JobRecord job, PreparedBatch batch, Standing state)
    {
        var input = batch.Chunk.Batch;
        if (input.MaxErrorShare is { } share && state.Failed > share * batch.Items)
            return (ProblemCodes.BatchFailed, $"{state.Failed} of {batch.Items} items failed, more than the allowed share of {share}. The error file names each.");
        // Counted anew where a person has put the job back in the queue.
        if (state.Finished < batch.Items && input.CompletionWindow is { } text && BatchSubmissionCheck.Window(text) is { } window && time.GetUtcNow() - job.DueAt > window)
            return (ProblemCodes.CompletionWindowPassed, $"The completion window of {text} has passed with {state.Finished} of {batch.Items} items done. What is done is kept; requeue the job to go on with the rest.");
        return null;
    }

    private async Task GiveUpAsync(PreparedBatch batch, Standing state, string code, string message, CancellationToken cancellationToken)
    {
        var output = await summaries.JoinAsync(batch.Version, batch.Chunk.Batch, state.Done, batch.Items, 0, cancellationToken) with { Partial = true };
        throw new ProblemException(code, message, ("output", output), ("failed", output.Failed), ("items", batch.Items), ("errorArtifact", output.ErrorArtifact));
    }

    private static Standing Count(IReadOnlyList<JobRecord> children)
    {
        var next = 0L;
        foreach (var child in children)
        {
            var chunk = JsonSerializer.Deserialize<ChunkInput>(child.Input, QueueMaaSJson.Relaxed)!;
            next = Math.Max(next, chunk.First + chunk.Count);
        }

        var done = BatchSummaries.Done(children);
        // The latest chunks tell how fast it goes now.
        var latest = children.Where(static child => child is { State: JobState.Succeeded, StartedAt: not null, FinishedAt: not null }).OrderByDescending(static child => child.FinishedAt).Take(4).ToArray();
        var busy = latest.Sum(static child => (child.FinishedAt!.Value - child.StartedAt!.Value).TotalSeconds);
        var items = latest.Sum(static child => JsonSerializer.Deserialize<ChunkInput>(child.Input, QueueMaaSJson.Relaxed)!.Count);
        return new(next, children.Count(static child => !child.State.IsFinal()), done, latest.Length == 0 ? null : items / Math.Max(0.001, busy));
    }

    private static BatchProgress Progress(PreparedBatch batch, Standing state, IReadOnlyList<JobRecord> children, bool ended)
    {
        var began = children.Min(static child => child.StartedAt);
        var last = children.Where(static child => child.State == JobState.Succeeded).Max(static child => child.FinishedAt);
        double? rate = began is { } from && last is { } to && to > from ? Math.Round(state.Finished / (to - from).TotalSeconds, 1) : null;
        return new(batch.Items, state.Finished, state.Failed, children.Count, state.Done.Count, rate)
        {
            Phase = ended ? "joining" : "running",
            SecondsLeft = rate is > 0 ? Math.Round((batch.Items - state.Finished) / rate.Value, 1) : null,
        };
    }

    /// <summary>The other chunks go on: when the job is requeued, with its failed chunks, their results are there.</summary>
    private static ProblemException Broken(JobRecord chunk)
    {
        var cause = chunk.Error is null ? null : JsonSerializer.Deserialize<Problem>(chunk.Error, QueueMaaSJson.Relaxed);
        return new ProblemException(
            ProblemCodes.BatchFailed, $"Chunk `{chunk.Id}` {chunk.State.ToString().ToLowerInvariant()}: {cause?.Message ?? "no reason is known."}", ("chunk", chunk.Id), ("cause", cause));
    }

    private static void Wake(SemaphoreSlim wake)
    {
        try
        {
            wake.Release();
        }
        catch (Exception e) when (e is SemaphoreFullException or ObjectDisposedException)
        {
            // It is awake already, or has ended.
        }
    }

    /// <summary>How a batch job stands.</summary>
    /// <param name="Next">The first item that has not been handed out.</param>
    /// <param name="Open">Chunks that are handed out and have not ended.</param>
    /// <param name="Done">Results of the chunks that have ended.</param>
    /// <param name="ItemsPerSecond">Of one chunk; null while none has ended.</param>
    private sealed record Standing(long Next, int Open, IReadOnlyList<ChunkOutput> Done, double? ItemsPerSecond)
    {
        public long Failed => Done.Sum(static output => (long)output.Failed);

        public long Finished => Done.Sum(static output => (long)output.Succeeded + output.Failed);
    }
}
