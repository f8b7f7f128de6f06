using Amazon.S3.Model;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using QueueMaaS.Jobs.Settings;
using QueueMaaS.Storage.Artifacts.S3;

namespace QueueMaaS.Health;

/// <summary>Whether the bucket of the artifacts can be used.</summary>
internal sealed class ArtifactHealth(S3Connection connection, ServerTrust trust) : IHealthCheck
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    public async Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(Patience);
        try
        {
            await connection.Client.ListObjectsV2Async(new ListObjectsV2Request { BucketName = connection.Bucket, Prefix = connection.ArtifactPrefix, MaxKeys = 1 }, limit.Token);
            return HealthCheckResult.Healthy(data: new Dictionary<string, object> { ["server"] = "S3" });
        }
        catch (Exception exception) when (S3Failures.IsOfStorage(exception) && !cancellationToken.IsCancellationRequested)
        {
            return HealthCheckResult.Unhealthy($"The storage of artifacts (S3) cannot be used: {trust.Refusal(S3Connection.ServerName)?.TrimEnd('.') ?? S3Failures.Reason(exception)}. Uploads, batch jobs and trainings wait; models that are loaded answer on.", exception);
        }
    }
}
