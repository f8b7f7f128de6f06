using System.Text.Json;
using QueueMaaS.Contracts;
using QueueMaaS.Inference.Preparation;
using QueueMaaS.Inference.Traffic;
using QueueMaaS.Jobs.Catalog;
using QueueMaaS.Jobs.Execution;
using QueueMaaS.Jobs.Submission;

namespace QueueMaaS.Inference.Jobs;

/// <summary>Refuses inference jobs that cannot succeed.</summary>
public sealed class InferenceSubmissionCheck(IModelCatalog models, IArtifactStore artifacts) : ISubmissionCheck
{
    public JobKind Kind => JobKind.Inference;

    public async Task<CheckedInput> CheckAsync(string tenant, JsonElement input, CancellationToken cancellationToken)
    {
        var inference = InferenceInputReader.Read(input);
        var version = await models.RequireServedAsync(tenant, inference.Model, cancellationToken);
        var request = InferenceRequestCheck.Check(version.Signature, version.Pipeline, inference, version.Batching.Ragged);
        // An image that is not there is told now, not when the job runs.
        if (inference.Image?.Artifact is { } image)
            _ = await artifacts.DescribeAsync(image, cancellationToken);
        // What has a ragged axis is padded for the batch that it will be in.
        return new(inference.Model) { Ready = request is null || version.Batching.Ragged is not null ? null : new ReadInference(inference with { Inputs = null, Row = null, Rows = null }, version, request) };
    }
}

/// <summary>An inference job's input, read.</summary>
/// <param name="Settings">The input without the tensors or rows: their JSON would be held in memory for as long as the job runs.</param>
/// <param name="Version">The version that it was read for.</param>
/// <param name="Request">Its tensors.</param>
internal sealed record ReadInference(InferenceInput Settings, ModelVersion Version, PreparedRequest Request);

/// <summary>Runs one inference job.</summary>
public sealed class InferenceJobExecutor(IModelCatalog models, Predictor predictor, ServedTraffic traffic, TimeProvider time) : IJobExecutor
{
    public JobKind Kind => JobKind.Inference;

    public async Task<object> ExecuteAsync(JobAttempt attempt, CancellationToken cancellationToken)
    {
        // Read a moment ago, where the job started as it was accepted.
        var ready = attempt.Job.Ready as ReadInference;
        var input = ready?.Settings ?? Read(attempt);
        var version = ready?.Version ?? await models.RequireServedAsync(attempt.Job.Tenant, input.Model, cancellationToken);
        var model = await predictor.ServeAsync(version, cancellationToken);
        var request = ready?.Request ?? await predictor.PrepareAsync(model, input, cancellationToken);
        var call = new InferenceCall { Priority = attempt.Job.Priority, Deadline = Deadline(attempt.Job.Deadline, input.TimeoutMs), TimeoutAction = input.TimeoutAction, TopK = input.TopK, Outputs = input.Outputs };
        var output = traffic.Find(attempt.Job.Tenant, version.Name) is { } followed
            ? await followed.FollowAsync(new(input.Model, model, request, (other, token) => predictor.PrepareAsync(other, ready is null ? input : Read(attempt), token)), call, watched => predictor.RunAsync(model, request, watched, cancellationToken))
            : await predictor.RunAsync(model, request, call, cancellationToken);
        return output with { Artifact = version.Artifact, Worker = attempt.Job.LeaseOwner, Attempt = attempt.Job.Attempt };
    }

    private static InferenceInput Read(JobAttempt attempt) => InferenceInputReader.Read(JsonElement.Parse(attempt.Job.Input));

    /// <summary>The earlier of the job's deadline and the request's own timeout.</summary>
    private DateTimeOffset? Deadline(DateTimeOffset? job, double? timeoutMs)
    {
        DateTimeOffset? own = timeoutMs is { } ms ? time.GetUtcNow() + TimeSpan.FromMilliseconds(ms) : null;
        return own is null || job < own ? job : own;
    }
}
