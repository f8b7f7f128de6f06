using System.Text.Json;
using Microsoft.Extensions.Logging;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Catalog;
using QueueMaaS.Jobs.Execution;
using QueueMaaS.Jobs.Life;

namespace QueueMaaS.Training.Checkpoints;

/// <summary>
/// A job's checkpoints: files in the artifact store, announced by events of the type <c>checkpoint</c> in the job's history, written under the job's fence.
/// A file is whole or not there; the event comes after it; the files that a new one replaces are removed after the event. So there is always a good latest one.
/// </summary>
internal sealed partial class JobCheckpoints(IJobEvents jobs, IArtifactStore artifacts, ILogger<JobCheckpoints> logger)
{
    public const string EventType = "checkpoint";

    /// <summary>The type of the event that says which checkpoints of an ended job are no more.</summary>
    public const string RemovedType = "checkpointsRemoved";

    /// <summary>The checkpoints that are kept, oldest first.</summary>
    public async Task<IReadOnlyList<TrainingCheckpoint>> ListAsync(string jobId, CancellationToken cancellationToken)
    {
        var kept = new List<TrainingCheckpoint>();
        var stored = await jobs.EventsOfTypeAsync(jobId, EventType, cancellationToken);
        var removed = stored.Count == 0 ? [] : await jobs.EventsOfTypeAsync(jobId, RemovedType, cancellationToken);
        foreach (var e in stored.Concat(removed).OrderBy(static e => e.Sequence))
        {
            if (e.Type == RemovedType)
            {
                var gone = e.Data!.Value.Deserialize<RemovedCheckpoints>(QueueMaaSJson.Relaxed)!.Ids;
                kept.RemoveAll(k => gone.Contains(k.Id, StringComparer.Ordinal));
                continue;
            }

            var checkpoint = JsonSerializer.Deserialize<TrainingCheckpoint>(e.Data!.Value, QueueMaaSJson.Relaxed)! with { CreatedAt = e.At };
            // A step that was repeated after an interruption is stored under the same name again.
            kept.RemoveAll(k => checkpoint.Removed?.Contains(k.Id, StringComparer.Ordinal) == true || k.Id == checkpoint.Id);
            kept.Add(checkpoint with { Removed = null });
        }

        return kept;
    }

    /// <summary>The latest state that can be read, or null where there is none.</summary>
    public async Task<CheckpointFile?> FindLatestAsync(string jobId, CancellationToken cancellationToken)
    {
        foreach (var checkpoint in (await ListAsync(jobId, cancellationToken)).OrderByDescending(c => c.Steps))
        {
            try
            {
                return CheckpointFile.Read(await artifacts.GetFileAsync(checkpoint.Artifact, cancellationToken));
            }
            // A storage that is away is waited for: the checkpoint is there, and beginning anew would throw it away.
            catch (Exception e) when (e is InvalidDataException or IOException or ProblemException { Problem.Code: not ProblemCodes.ArtifactStorageUnavailable })
            {
                LogUnreadable(logger, jobId, checkpoint.Id, e.Message);
            }
        }

        return null;
    }

    /// <summary>Stores a state.</summary>
    /// <exception cref="ProblemException"><c>checkpoint_failed</c>; the one stored before is untouched.</exception>
    /// <exception cref="OperationCanceledException">The job is no longer this attempt's.</exception>
    public async Task StoreAsync(JobAttempt attempt, CheckpointFile file, int keep)
    {
        // Nothing here is cancelled: a pause or a shutdown is when the state is needed most, and the claim is checked with the event.
        var artifact = await PutAsync(attempt.Job.Id, file);
        var earlier = await ListAsync(attempt.Job.Id, CancellationToken.None);
        var others = earlier.Where(c => c.Id != file.Snapshot.Id).ToArray();
        var superseded = others.SkipLast(keep - 1).ToArray();
        var state = file.Snapshot.State;
        var stored = await attempt.RecordAsync(
            EventType,
            new TrainingCheckpoint
            {
                Id = file.Snapshot.Id,
                Epoch = state.Step == 0 ? state.Epoch - 1 : state.Epoch,
                Step = state.Step,
                Steps = state.Steps,
                Artifact = artifact.Id,
                Bytes = artifact.Bytes,
                Metrics = state.History.Count == 0 ? null : state.History[^1],
                Removed = superseded.Length == 0 ? null : [.. superseded.Select(c => c.Id)],
            },
            CancellationToken.None);
        if (!stored)
        {
            if (earlier.All(c => c.Artifact != artifact.Id))
                await artifacts.DeleteAsync(artifact.Id, CancellationToken.None);
            throw new OperationCanceledException($"The claim on job {attempt.Job.Id} no longer stands.");
        }

        foreach (var old in superseded.Concat(earlier.Where(c => c.Id == file.Snapshot.Id)).Where(c => c.Artifact != artifact.Id))
            await artifacts.DeleteAsync(old.Artifact, CancellationToken.None);
        LogStored(logger, attempt.Job.Id, file.Snapshot.Id, artifact.Bytes);
    }

    /// <summary>Removes the checkpoints of a running job's ended children. The files go first: whoever is interrupted between them and the events does it again.</summary>
    /// <returns>How many there were, and their bytes.</returns>
    /// <exception cref="OperationCanceledException">The job is no longer this attempt's.</exception>
    public async Task<(int Count, long Bytes)> RemoveOfChildrenAsync(IJobStore store, JobRecord job, IEnumerable<string> children, string reason, CancellationToken cancellationToken)
    {
        var reports = new Dictionary<string, JobReport>(StringComparer.Ordinal);
        var (count, bytes) = (0, 0L);
        foreach (var child in children)
        {
            var kept = await ListAsync(child, cancellationToken);
            if (kept.Count == 0)
                continue;
            foreach (var checkpoint in kept)
                await artifacts.DeleteAsync(checkpoint.Artifact, cancellationToken);
            (count, bytes) = (count + kept.Count, bytes + kept.Sum(static c => c.Bytes));
            reports[child] = new(RemovedType, JsonSerializer.Serialize(new RemovedCheckpoints([.. kept.Select(static c => c.Id)], reason), QueueMaaSJson.Relaxed), Announce: false);
        }

        if (reports.Count > 0 && !await store.RecordOnChildrenAsync(job.Claim, reports, cancellationToken))
            throw new OperationCanceledException($"The claim on job {job.Id} no longer stands.");
        return (count, bytes);
    }

    private async Task<Artifact> PutAsync(string jobId, CheckpointFile file)
    {
        var path = Path.Combine(Path.GetTempPath(), $"queuemaas-checkpoint-{Guid.NewGuid():n}");
        try
        {
            file.Write(path);
            await using var content = File.OpenRead(path);
            return await artifacts.PutAsync(content, long.MaxValue, CancellationToken.None);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            var before = (await ListAsync(jobId, CancellationToken.None)).Select(c => c.Id).LastOrDefault();
            throw new ProblemException(
                Problem.Create(
                    ProblemCodes.CheckpointFailed,
                    $"The checkpoint '{file.Snapshot.Id}' could not be stored: {e.Message} {(before is null ? "There is none before it." : $"The one before it, '{before}', is untouched.")} Make room in the data folder and the temporary folder, then requeue the job: it goes on from there.",
                    ("checkpoint", file.Snapshot.Id), ("latest", before)),
                e)
            {
                IsTransient = true,
            };
        }
        finally
        {
            File.Delete(path);
        }
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Job {JobId}: stored checkpoint {Checkpoint} ({Bytes} bytes)")]
    private static partial void LogStored(ILogger logger, string jobId, string checkpoint, long bytes);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Job {JobId}: checkpoint {Checkpoint} cannot be read ({Reason}); an earlier one is tried")]
    private static partial void LogUnreadable(ILogger logger, string jobId, string checkpoint, string reason);
}

/// <summary>Which checkpoints of a job are no more, and why.</summary>
internal sealed record RemovedCheckpoints(IReadOnlyList<string> Ids, string Reason);
