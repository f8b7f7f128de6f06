using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Execution;

namespace QueueMaaS.Inference.BatchJobs;

/// <summary>A batch job's log and measurements: figures whenever chunks have ended, a line at its beginning and end, and a warning at the first failed item and each time their number has doubled.</summary>
internal sealed class BatchLog(JobAttempt attempt)
{
    private int _chunks;
    private long _failed;

    public Task BeginAsync(string model, long items, int chunks, CancellationToken cancellationToken) =>
        attempt.LogAsync("info", chunks == 0 ? $"{items} items for {model}." : $"{items} items for {model}; goes on with {chunks} chunks handed out before.", cancellationToken);

    public async Task TellAsync(BatchProgress progress, CancellationToken cancellationToken)
    {
        if (progress.ChunksDone > _chunks)
        {
            _chunks = progress.ChunksDone;
            var figures = new Dictionary<string, double>(StringComparer.Ordinal) { ["done"] = progress.Done, ["failed"] = progress.Failed, ["chunksDone"] = progress.ChunksDone };
            if (progress.ItemsPerSecond is { } rate && double.IsFinite(rate))
                figures["itemsPerSecond"] = rate;
            await attempt.MeasureAsync(figures, cancellationToken);
        }

        if (progress.Failed > 0 && progress.Failed >= 2 * _failed)
        {
            _failed = progress.Failed;
            await attempt.LogAsync("warning", $"{progress.Failed} of {progress.Done} items failed so far; the error file will name each.", cancellationToken);
        }

        if (progress.Phase == "joining")
            await attempt.LogAsync("info", $"{progress.Done} of {progress.Items} items are done in {progress.ChunksDone} chunks, {progress.Failed} failed; the files are joined.", cancellationToken);
    }
}
