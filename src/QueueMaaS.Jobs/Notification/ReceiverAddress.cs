namespace QueueMaaS.Jobs.Notification;

/// <summary>Who gets webhooks: a tenant's address, whatever its query is. What one receiver asks for, or does not do, holds for no other.</summary>
/// <param name="Tenant">Whose it is.</param>
/// <param name="Address">Its address up to the query.</param>
public readonly record struct ReceiverAddress(string Tenant, string Address)
{
    /// <summary>Its scheme, host and port, which it may share with others.</summary>
    public string Host
    {
        get
        {
            var start = Address.IndexOf("://", StringComparison.Ordinal) + 3;
            var end = start < 3 ? -1 : Address.IndexOf('/', start);
            return end < 0 ? Address : Address[..end];
        }
    }

    public static ReceiverAddress Of(WebhookDelivery delivery)
    {
        ArgumentNullException.ThrowIfNull(delivery);
        var end = delivery.Url.IndexOf('?', StringComparison.Ordinal);
        return new(delivery.Tenant, end < 0 ? delivery.Url : delivery.Url[..end]);
    }
}
