using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using QueueMaaS.Api.Access;
using QueueMaaS.Api.Hosting;
using QueueMaaS.Api.Jobs;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Catalog;
using QueueMaaS.Jobs.Life;
using QueueMaaS.Jobs.Submission;

namespace QueueMaaS.Api.Training;

/// <summary>What there is to a training beside what every job has: figures per epoch, checkpoints, pauses.</summary>
internal static class TrainingRoutes
{
    private const int MaxBodyBytes = 1 << 16;

    public static void MapTraining(this IEndpointRouteBuilder routes)
    {
        var jobs = routes.MapGroup("/v1/jobs").WithTags("Training").WithScopes([AccessScopes.Read], [AccessScopes.Submit]);
        jobs.MapGet("{id}/metrics", MetricsAsync).Produces<TrainingMetrics>().WithSummary("A training's figures, epoch by epoch");
        jobs.MapGet("{id}/checkpoints", ListAsync).Produces<IReadOnlyList<TrainingCheckpoint>>().WithSummary("A training's stored states, oldest first").WithDescription("Only those that are kept: see `checkpoints.keep` of the job.");
        jobs.MapGet("{id}/checkpoints/{checkpoint}", GetAsync).Produces<TrainingCheckpoint>().WithSummary("Get a checkpoint").WithDescription("Its `artifact` is a safetensors file: `GET /v1/artifacts/{id}`.");
        jobs.MapPost("{id}/checkpoints/{checkpoint}/register", RegisterAsync).WithScope(AccessScopes.Models).WithAudit("model.register").Accepts<CheckpointRegistration>("application/json").Produces<ModelVersion>(StatusCodes.Status201Created)
            .WithSummary("Make a checkpoint the next version of a model").WithDescription("It is exported to ONNX and checked like the result of a training. A repeat gives the version made before.");
        jobs.MapPost("{id}/pause", PauseAsync).Produces<Job>().WithSummary("Pause a job").WithDescription("A job that waits; a training that runs: it stores its state and stops within a step; a batch job that runs: it hands out no more chunks; a sweep: with its trials.");
        jobs.MapPost("{id}/resume", ResumeAsync).Produces<Job>().WithSummary("Resume a paused job").WithDescription("A training goes on from its latest checkpoint, a batch job with the chunks that are not done, on any worker.");
    }

    private static async Task<TrainingMetrics> MetricsAsync(Caller caller, string id, IJobStore store, CancellationToken cancellationToken)
    {
        var job = (await RequireAsync(caller, id, store, cancellationToken)).ToJob();
        var epochs = (job.Output is { } output && output.TryGetProperty("history", out var history) ? history.Deserialize<IReadOnlyList<EpochMetrics>>(QueueMaaSJson.Relaxed) : job.Progress is { } progress ? Read<TrainingProgress>(progress)?.History : null) ?? [];
        return new(job.Id, job.State, epochs);
    }

    private static async Task<IReadOnlyList<TrainingCheckpoint>> ListAsync(Caller caller, string id, IJobStore store, ITrainingCheckpoints checkpoints, CancellationToken cancellationToken)
    {
        _ = await RequireAsync(caller, id, store, cancellationToken);
        return await checkpoints.ListAsync(id, cancellationToken);
    }

    private static async Task<TrainingCheckpoint> GetAsync(Caller caller, string id, string checkpoint, IJobStore store, ITrainingCheckpoints checkpoints, CancellationToken cancellationToken)
    {
        _ = await RequireAsync(caller, id, store, cancellationToken);
        return (await checkpoints.ListAsync(id, cancellationToken)).FirstOrDefault(c => c.Id == checkpoint)
            ?? throw new ProblemException(ProblemCodes.CheckpointNotFound, $"Job `{id}` has no checkpoint `{checkpoint}`, or it was removed. GET /v1/jobs/{id}/checkpoints lists what there is.", ("checkpoint", checkpoint));
    }

    private static async Task<IResult> RegisterAsync(Caller caller, string id, string checkpoint, HttpRequest request, IJobStore store, ITrainingCheckpoints checkpoints, CancellationToken cancellationToken)
    {
        var job = await RequireAsync(caller, id, store, cancellationToken);
        var body = await Requests.ReadBodyAsync(request, MaxBodyBytes, cancellationToken);
        var asked = body.Length == 0 ? new CheckpointRegistration() : SubmissionReader.ReadBody<CheckpointRegistration>(body);
        if (asked.Model is { } name && !Identifiers.IsName(name))
            throw new ProblemException(ProblemCodes.InvalidValue, "`model` must be 1 to 64 of lower-case letters, digits and - _ . , beginning with a letter or digit.", ("path", "model"));
        if (asked.Alias is { } alias && !Identifiers.IsAlias(alias))
            throw new ProblemException(ProblemCodes.InvalidValue, $"`alias` must be {Identifiers.AliasRule}.", ("path", "alias"));

        var version = await checkpoints.RegisterAsync(job, checkpoint, asked.Model, asked.Alias, cancellationToken);
        return Results.Created($"/v1/models/{version.Name}@{version.Version}", version);
    }

    private static async Task<Job> PauseAsync(Caller caller, string id, IJobStore store, CancellationToken cancellationToken)
    {
        var job = await store.PauseAsync(caller.Tenant, id, caller.Name, cancellationToken) ?? throw JobRoutes.NotFound(id);
        return job.State == JobState.Paused
            ? job.ToJob()
            : throw new ProblemException(ProblemCodes.JobStateConflict, $"Job `{id}` is {job.State.ToString().ToLowerInvariant()}; jobs that wait, and trainings, batch jobs and sweeps that run, can be paused.", ("state", job.State));
    }

    private static async Task<Job> ResumeAsync(Caller caller, string id, IJobStore store, CancellationToken cancellationToken)
    {
        var job = await store.ResumeAsync(caller.Tenant, id, caller.Name, cancellationToken) ?? throw JobRoutes.NotFound(id);
        if (job.State is not (JobState.Queued or JobState.Scheduled))
            throw new ProblemException(ProblemCodes.JobStateConflict, $"Job `{id}` is {job.State.ToString().ToLowerInvariant()}; only a paused job can be resumed.", ("state", job.State));
        return job.ToJob();
    }

    private static async Task<JobRecord> RequireAsync(Caller caller, string id, IJobStore store, CancellationToken cancellationToken)
    {
        var job = await store.FindAsync(caller.Tenant, id, cancellationToken) ?? throw JobRoutes.NotFound(id);
        return job.Kind == JobKind.Training ? job : throw new ProblemException(ProblemCodes.JobStateConflict, $"Job `{id}` is no training.", ("kind", job.Kind));
    }

    private static T? Read<T>(System.Text.Json.JsonElement json) where T : class => System.Text.Json.JsonSerializer.Deserialize<T>(json, QueueMaaSJson.Relaxed);
}

/// <summary>A training's figures.</summary>
/// <param name="JobId">The job.</param>
/// <param name="State">Where it is in its life.</param>
/// <param name="Epochs">The finished epochs.</param>
public sealed record TrainingMetrics(string JobId, JobState State, IReadOnlyList<EpochMetrics> Epochs);

/// <summary>How a checkpoint is to be registered.</summary>
public sealed record CheckpointRegistration
{
    /// <summary>The model's name. Default: the one that the job trains.</summary>
    public string? Model { get; init; }
    /// <summary>An alias to point at the version.</summary>
    public string? Alias { get; init; }
}
