using Microsoft.Extensions.Diagnostics.HealthChecks;
using RabbitMQ.Client.Exceptions;

namespace QueueMaaS.Messaging.RabbitMq;

/// <summary>Whether RabbitMQ answers, and its version.</summary>
internal sealed class BrokerHealth(RabbitConnection connection) : IHealthCheck
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);
    private volatile bool _hasAnswered;

    public async Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(Patience);
        try
        {
            var version = await connection.ServerVersionAsync(limit.Token);
            _hasAnswered = true;
            return HealthCheckResult.Healthy(data: new Dictionary<string, object> { ["server"] = "RabbitMQ", ["version"] = version });
        }
        catch (Exception exception) when (!cancellationToken.IsCancellationRequested && exception is BrokerUnreachableException or OperationInterruptedException or AlreadyClosedException or IOException or TimeoutException or OperationCanceledException)
        {
            var description = $"{connection.Refusal?.TrimEnd('.') ?? Described(exception)}: jobs are accepted over HTTP and kept, and go to the workers once it is back. The connection is tried again at each publication and look.";
            // A broker that was never reached may be a wrong address, which a roll-out has to stop at; one that went away must not take the API out of service with it.
            return _hasAnswered ? HealthCheckResult.Degraded(description, exception) : HealthCheckResult.Unhealthy(description, exception);
        }
    }

    private string Described(Exception exception)
    {
        for (Exception? cause = exception; cause is not null; cause = cause.InnerException)
        {
            if (cause is AuthenticationFailureException or PossibleAuthenticationFailureException)
                return $"RabbitMQ at {connection.Authority} refuses the user name or the password in `Bus:RabbitMq`";
            if (cause is OperationInterruptedException { ShutdownReason: { ReplyCode: 530 or 403 } reason })
                return $"RabbitMQ at {connection.Authority} refuses the user or the virtual host in `Bus:RabbitMq` ({reason.ReplyText})";
        }

        return $"RabbitMQ at {connection.Authority} does not answer";
    }
}
