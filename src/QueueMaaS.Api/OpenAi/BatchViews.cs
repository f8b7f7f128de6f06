using System.Text.Json;
using QueueMaaS.Contracts;
using QueueMaaS.Inference.BatchJobs;
using QueueMaaS.Jobs.Catalog;
using QueueMaaS.Jobs.Life;

namespace QueueMaaS.Api.OpenAi;

/// <summary>Shows a batch job as OpenAI's clients know batches. Both its files are there once it has ended, however it ended: of one that was given up, with what was done.</summary>
internal sealed class BatchViews(IFileCatalog files, IArtifactStore artifacts, IJobStore store, BatchSummaries summaries, TimeProvider time)
{
    /// <summary>True for jobs that came as OpenAI batches.</summary>
    public static bool IsOpenAi(JobRecord job) => Tags(job).Length > 0;

    public async Task<OpenAiBatch> ShowAsync(JobRecord job, CancellationToken cancellationToken)
    {
        var input = JsonSerializer.Deserialize<BatchInput>(job.Input, QueueMaaSJson.Relaxed)!;
        var (progress, error) = (Read<BatchProgress>(job.Progress), Read<Problem>(job.Error));
        var status = Status(job, progress, error);
        var (output, errors) = job.State.IsFinal() ? await FilesAsync(job, status, cancellationToken) : (null, null);
        var ended = job.FinishedAt?.ToUnixTimeSeconds();
        var counts = Read<BatchOutput>(job.Output) is { } done
            ? new OpenAiCounts(done.Items, done.Succeeded, done.Failed)
            : new(progress?.Items ?? 0, (progress?.Done ?? 0) - (progress?.Failed ?? 0), progress?.Failed ?? 0);
        return new()
        {
            Id = job.Id,
            Endpoint = Tagged(job, "endpoint:"),
            Errors = status == "failed" && error is not null ? new([OpenAiFault.Of(error)]) : null,
            InputFileId = Tagged(job, "file:"),
            CompletionWindow = input.CompletionWindow ?? "24h",
            Status = status,
            OutputFileId = output,
            ErrorFileId = errors,
            CreatedAt = job.CreatedAt.ToUnixTimeSeconds(),
            InProgressAt = job.StartedAt?.ToUnixTimeSeconds(),
            ExpiresAt = BatchSubmissionCheck.Window(input.CompletionWindow ?? "24h") is { } window ? (job.CreatedAt + window).ToUnixTimeSeconds() : null,
            FinalizingAt = status is "completed" or "finalizing" ? ended ?? time.GetUtcNow().ToUnixTimeSeconds() : null,
            CompletedAt = status == "completed" ? ended : null,
            FailedAt = status == "failed" ? ended : null,
            ExpiredAt = status == "expired" ? ended : null,
            CancellingAt = status == "cancelled" ? ended : null,
            CancelledAt = status == "cancelled" ? ended : null,
            RequestCounts = counts,
            Metadata = input.Metadata is { Count: > 0 } metadata ? metadata : null,
        };
    }

    private static string Status(JobRecord job, BatchProgress? progress, Problem? error) => job.State switch
    {
        JobState.Succeeded => "completed",
        JobState.Cancelled => "cancelled",
        JobState.Expired => "expired",
        JobState.Failed => error?.Code == ProblemCodes.CompletionWindowPassed ? "expired" : "failed",
        _ => progress?.Phase switch { "running" => "in_progress", "joining" => "finalizing", _ => "validating" },
    };

    /// <summary>The job's files under ids of their own. Made when they are first asked for; a batch that failed at validation has none.</summary>
    private async Task<(string? Output, string? Errors)> FilesAsync(JobRecord job, string status, CancellationToken cancellationToken)
    {
        var (outputId, errorId) = ($"file-{job.Id}-output", $"file-{job.Id}-errors");
        if (await files.FindAsync(job.Tenant, outputId, cancellationToken) is not null)
            return (outputId, errorId);
        var output = Read<BatchOutput>(job.Output);
        if (output is null)
        {
            if (status == "failed" || (await store.ChildrenAsync(job.Id, cancellationToken)).Count == 0)
                return (null, null);
            output = await summaries.PartialAsync(job, cancellationToken);
        }

        await AddAsync(job, errorId, $"{job.Id}_error.jsonl", output.ErrorArtifact, cancellationToken);
        await AddAsync(job, outputId, $"{job.Id}_output.jsonl", output.OutputArtifact, cancellationToken);
        return (outputId, errorId);
    }

    private async Task AddAsync(JobRecord job, string id, string name, string artifact, CancellationToken cancellationToken)
    {
        var bytes = (await artifacts.DescribeAsync(artifact, cancellationToken)).Bytes;
        await files.AddAsync(job.Tenant, new StoredFile(id, name, "batch_output", artifact, bytes, time.GetUtcNow()), cancellationToken);
    }

    private static string Tagged(JobRecord job, string prefix) => Array.Find(Tags(job), tag => tag.StartsWith(prefix, StringComparison.Ordinal))?[prefix.Length..] ?? "";

    private static string[] Tags(JobRecord job) => job.Tags is null ? [] : Array.FindAll(JsonSerializer.Deserialize<string[]>(job.Tags)!, static tag => tag.StartsWith("file:", StringComparison.Ordinal) || tag.StartsWith("endpoint:", StringComparison.Ordinal));

    private static T? Read<T>(string? json) where T : class => json is null ? null : JsonSerializer.Deserialize<T>(json, QueueMaaSJson.Relaxed);
}
