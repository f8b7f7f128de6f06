using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using QueueMaaS.Jobs.Catalog;

namespace QueueMaaS.Jobs.Retention;

/// <summary>
/// Deletes artifacts that nothing in the database names any more: the files of deleted jobs, uploads that no job ever used. Mark and sweep: contents are shared
/// between jobs (the same bytes are one artifact), and a count of uses that is kept at every write would be wrong after the first crash. An artifact becomes a
/// candidate only when nobody has stored, read or named it for <see cref="JobOptions.KeepUnusedArtifacts"/>, which is also the time that an upload may wait for its job.
/// </summary>
public sealed partial class ArtifactCleaner(IArtifactUpkeep artifacts, IArtifactUses uses, IOptions<JobOptions> options, TimeProvider time, ILogger<ArtifactCleaner> logger) : BackgroundService
{
    /// <summary>Candidates that are looked for together: one pass over the tables for each group.</summary>
    private const int Group = 100_000;
    private static readonly TimeSpan BrokenUploads = TimeSpan.FromDays(1);
    private static readonly TimeSpan Longest = TimeSpan.FromHours(6);

    /// <summary>One pass. Answers how many artifacts went.</summary>
    public async Task<int> CleanAsync(CancellationToken cancellationToken)
    {
        var since = time.GetUtcNow() - options.Value.KeepUnusedArtifacts;
        await artifacts.DeleteBrokenUploadsAsync(time.GetUtcNow() - BrokenUploads, cancellationToken);
        var deleted = 0;
        var idle = new Dictionary<string, long>(StringComparer.Ordinal);
        await foreach (var artifact in artifacts.ListIdleAsync(since, cancellationToken))
        {
            idle[artifact.Id] = artifact.Bytes;
            if (idle.Count == Group)
                deleted += await CleanAsync(idle, since, cancellationToken);
        }

        return deleted + await CleanAsync(idle, since, cancellationToken);
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (options.Value.KeepUnusedArtifacts is var kept && kept == TimeSpan.Zero)
            return;
        using var timer = new PeriodicTimer(kept / 4 < Longest ? kept / 4 : Longest, time);
        while (await timer.WaitForNextTickAsync(stoppingToken))
        {
            try
            {
                await CleanAsync(stoppingToken);
            }
            catch (Exception exception) when (!stoppingToken.IsCancellationRequested)
            {
                LogFailed(logger, exception.Message);
            }
        }
    }

    private async Task<int> CleanAsync(Dictionary<string, long> idle, DateTimeOffset since, CancellationToken cancellationToken)
    {
        if (idle.Count == 0)
            return 0;
        var used = await uses.FindUsedAsync(idle.Keys.ToHashSet(StringComparer.Ordinal), cancellationToken);
        var (count, bytes) = (0, 0L);
        foreach (var (id, size) in idle)
        {
            if (used.Contains(id))
            {
                // Not looked at again before the same time has passed.
                await artifacts.TouchAsync(id, cancellationToken);
            }
            else if (await artifacts.DeleteIdleAsync(id, since, cancellationToken))
            {
                count++;
                bytes += size;
            }
        }

        idle.Clear();
        if (count > 0)
            LogDeleted(logger, count, bytes, options.Value.KeepUnusedArtifacts);
        return count;
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Deleted {Count} artifacts of {Bytes} bytes that nothing names and nobody has used for {Kept}")]
    private static partial void LogDeleted(ILogger logger, int count, long bytes, TimeSpan kept);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Unused artifacts could not be deleted ({Reason}); it is tried again")]
    private static partial void LogFailed(ILogger logger, string reason);
}
