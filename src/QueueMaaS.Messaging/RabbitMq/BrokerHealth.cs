using Microsoft.Extensions.Diagnostics.HealthChecks;
using RabbitMQ.Client.Exceptions;

namespace QueueMaaS.Messaging.RabbitMq;

/// <summary>Whether RabbitMQ answers, and its version.</summary>
internal sealed class BrokerHealth(RabbitConnection connection) : IHealthCheck
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    public async Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(Patience);
        try
        {
            return HealthCheckResult.Healthy(data: new Dictionary<string, object> { ["server"] = "RabbitMQ", ["version"] = await connection.ServerVersionAsync(limit.Token) });
        }
        catch (Exception exception) when (!cancellationToken.IsCancellationRequested && exception is BrokerUnreachableException or OperationInterruptedException or AlreadyClosedException or IOException or TimeoutException or OperationCanceledException)
        {
            return HealthCheckResult.Unhealthy($"{connection.Refusal?.TrimEnd('.') ?? $"RabbitMQ at {connection.Authority} does not answer"}: jobs are accepted over HTTP and kept, and go to the workers once it is back. The connection is tried again at each publication and look.", exception);
        }
    }
}
