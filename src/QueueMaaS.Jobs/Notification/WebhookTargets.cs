using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Options;
using QueueMaaS.Contracts;

namespace QueueMaaS.Jobs.Notification;

/// <summary>Which addresses webhooks may go to, checked at submission by their text and at sending by what the name resolves to.</summary>
public sealed class WebhookTargets(IOptions<WebhookOptions> options) : IWebhookTargetPolicy
{
    public void Check(WebhookTarget target)
    {
        if (!Uri.TryCreate(target.Url, UriKind.Absolute, out var uri) || uri.Scheme is not ("http" or "https") || uri.UserInfo.Length > 0 || target.Url.Length > 2048)
            throw new ProblemException(ProblemCodes.InvalidValue, "`webhook.url` must be an absolute http or https address without credentials, of at most 2,048 characters.", ("path", "webhook.url"));
        if (target.Secret is not null && !WebhookSignature.IsSecret(target.Secret))
            throw new ProblemException(ProblemCodes.InvalidValue, "`webhook.secret` must be `whsec_` and base64 of 24 to 64 bytes.", ("path", "webhook.secret"));
        if (target.Secret is null && options.Value.Secret is null)
            throw new ProblemException(ProblemCodes.InvalidValue, "The service has no webhook secret of its own, so `webhook.secret` must be given.", ("path", "webhook.secret"));
        if (target.Events is { Count: 0 })
            throw new ProblemException(ProblemCodes.InvalidValue, "`webhook.events` must name `start`, `completed` or both, or be left out.", ("path", "webhook.events"));
        var literal = IPAddress.TryParse(uri.IdnHost.Trim('[', ']'), out var address) ? address : null;
        if (!options.Value.AllowPrivateTargets && ((literal is not null && !IsPublic(literal)) || uri.IsLoopback))
            throw Refused(uri.Host);
    }

    /// <summary>Connects to the target: the name is resolved once, every address is judged, and the connection goes to the judged address itself, so that a name cannot change in between.</summary>
    public async ValueTask<Stream> ConnectAsync(SocketsHttpConnectionContext context, CancellationToken cancellationToken)
    {
        var host = context.DnsEndPoint.Host;
        var addresses = await Dns.GetHostAddressesAsync(host, cancellationToken);
        if (!options.Value.AllowPrivateTargets && !Array.TrueForAll(addresses, IsPublic))
            throw Refused(host);
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(addresses, context.DnsEndPoint.Port, cancellationToken);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private static ProblemException Refused(string host) => new(
        ProblemCodes.WebhookTargetRefused,
        $"The webhook target `{host}` is a private, loopback or link-local address. Use a public one, or have the operator set Webhooks__AllowPrivateTargets=true.", ("host", host));

    private static bool IsPublic(IPAddress address)
    {
        if (address.IsIPv4MappedToIPv6)
            address = address.MapToIPv4();
        if (IPAddress.IsLoopback(address) || address.IsIPv6LinkLocal || address.IsIPv6SiteLocal || address.IsIPv6UniqueLocal || address.IsIPv6Multicast
            || address.Equals(IPAddress.IPv6Any) || address.Equals(IPAddress.Any))
            return false;
        if (address.AddressFamily != AddressFamily.InterNetwork)
            return true;
        var b = address.GetAddressBytes();
        // RFC 6890: this network, private, shared (CGN), link-local, IETF, benchmarking, multicast and reserved.
        return !(b[0] is 0 or 10 or 127 or >= 224
            || (b[0] == 100 && b[1] is >= 64 and <= 127)
            || (b[0] == 169 && b[1] == 254)
            || (b[0] == 172 && b[1] is >= 16 and <= 31)
            || (b[0] == 192 && b[1] == 168)
            || (b[0] == 192 && b[1] == 0 && b[2] == 0)
            || (b[0] == 198 && b[1] is 18 or 19));
    }
}
