using QueueMaaS.Contracts;

namespace QueueMaaS.Jobs.Notification;

/// <summary>Deliveries to an endpoint that are not about one job.</summary>
public static class EndpointDeliveries
{
    public static WebhookDelivery About(WebhookEndpoint endpoint, string type, string subject, string data, DateTimeOffset now)
    {
        ArgumentNullException.ThrowIfNull(endpoint);
        return new WebhookDelivery
        {
            Id = $"msg_{Ulid.NewUlid(now)}",
            Tenant = endpoint.Tenant,
            JobId = subject,
            Type = type,
            Kind = JobKind.Inference,
            JobState = JobState.Succeeded,
            Sequence = now.UtcTicks,
            Attempt = 0,
            Url = endpoint.Url,
            EndpointId = endpoint.Id,
            Data = data,
            CreatedAt = now,
            NextTryAt = now,
        };
    }
}
