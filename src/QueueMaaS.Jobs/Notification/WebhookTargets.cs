using System.Net;
using Microsoft.Extensions.Options;
using QueueMaaS.Contracts;

namespace QueueMaaS.Jobs.Notification;

/// <summary>Which addresses webhooks may go to, checked at submission by their text and at sending by what the name resolves to.</summary>
public sealed class WebhookTargets(IOptions<WebhookOptions> options) : IWebhookTargetPolicy
{
    public void Check(WebhookTarget target)
    {
        CheckUrl(target.Url, "webhook.url");
        if (target.Secret is not null && !WebhookSignature.IsSecret(target.Secret))
            throw new ProblemException(ProblemCodes.InvalidValue, "`webhook.secret` must be `whsec_` and base64 of 24 to 64 bytes.", ("path", "webhook.secret"));
        if (target.Secret is null && options.Value.Secret is null)
            throw new ProblemException(ProblemCodes.InvalidValue, "The service has no webhook secret of its own, so `webhook.secret` must be given.", ("path", "webhook.secret"));
        if (target.Events is { Count: 0 })
            throw new ProblemException(ProblemCodes.InvalidValue, "`webhook.events` must name `start`, `progress` or `completed`, or be left out.", ("path", "webhook.events"));
    }

    public void CheckUrl(string url, string path)
    {
        if (!Uri.TryCreate(url, UriKind.Absolute, out var uri) || uri.Scheme is not ("http" or "https") || uri.UserInfo.Length > 0 || url.Length > 2048)
            throw new ProblemException(ProblemCodes.InvalidValue, $"`{path}` must be an absolute http or https address without credentials, of at most 2,048 characters.", ("path", path));
        var literal = IPAddress.TryParse(uri.IdnHost.Trim('[', ']'), out var address) ? address : null;
        if (!options.Value.AllowPrivateTargets && ((literal is not null && !PublicAddresses.IsPublic(literal)) || uri.IsLoopback))
            throw Refused(uri.Host);
    }

    /// <summary>Connects to the target, as <see cref="PublicAddresses.ConnectAsync"/> does.</summary>
    public ValueTask<Stream> ConnectAsync(SocketsHttpConnectionContext context, CancellationToken cancellationToken) =>
        PublicAddresses.ConnectAsync(context, options.Value.AllowPrivateTargets, cancellationToken);

    private static ProblemException Refused(string host) => new(
        ProblemCodes.WebhookTargetRefused,
        $"The webhook target `{host}` is a private, loopback or link-local address. Use a public one, or have the operator set Webhooks__AllowPrivateTargets=true.", ("host", host));
}
