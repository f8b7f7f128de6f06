namespace QueueMaaS.Jobs.Notification;

/// <summary>What can be told from a webhook's address.</summary>
public static class WebhookAddresses
{
    /// <summary>Its scheme, host and port: what one receiver shares.</summary>
    public static string TargetOf(string url) => Uri.TryCreate(url, UriKind.Absolute, out var uri) ? $"{url[..(uri.Scheme.Length + 3)]}{url[(uri.Scheme.Length + 3)..].Split('/', '?', '#')[0]}" : url;
}
