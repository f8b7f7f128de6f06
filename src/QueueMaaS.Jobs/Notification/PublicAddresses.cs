using System.Net;
using System.Net.Sockets;
using QueueMaaS.Contracts;

namespace QueueMaaS.Jobs.Notification;

/// <summary>Tells public addresses from those of the service's own surroundings, and connects to the former only: what a user names must not reach the latter.</summary>
public static class PublicAddresses
{
    /// <summary>A connection: the name is resolved once, every address is judged, and the connection goes to the judged address itself, so that a name cannot change in between.</summary>
    /// <exception cref="ProblemException"><c>webhook_target_refused</c>: an address is private, and <paramref name="allowPrivate"/> is false.</exception>
    public static async ValueTask<Stream> ConnectAsync(SocketsHttpConnectionContext context, bool allowPrivate, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(context);
        var host = context.DnsEndPoint.Host;
        var addresses = await Dns.GetHostAddressesAsync(host, cancellationToken);
        if (!allowPrivate && !Array.TrueForAll(addresses, IsPublic))
            throw new ProblemException(ProblemCodes.WebhookTargetRefused, $"`{host}` is a private, loopback or link-local address, which this service does not connect to on a user's behalf.", ("host", host));
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

    /// <summary>False for addresses of this machine, this network, and those that are set aside (RFC 6890).</summary>
    public static bool IsPublic(IPAddress address)
    {
        ArgumentNullException.ThrowIfNull(address);
        if (address.IsIPv4MappedToIPv6)
            address = address.MapToIPv4();
        if (IPAddress.IsLoopback(address) || address.IsIPv6LinkLocal || address.IsIPv6SiteLocal || address.IsIPv6UniqueLocal || address.IsIPv6Multicast
            || address.Equals(IPAddress.IPv6Any) || address.Equals(IPAddress.Any))
            return false;
        if (address.AddressFamily != AddressFamily.InterNetwork)
            return true;
        var b = address.GetAddressBytes();
        // This network, private, shared (CGN), link-local, IETF, benchmarking, multicast and reserved.
        return !(b[0] is 0 or 10 or 127 or >= 224
            || (b[0] == 100 && b[1] is >= 64 and <= 127)
            || (b[0] == 169 && b[1] == 254)
            || (b[0] == 172 && b[1] is >= 16 and <= 31)
            || (b[0] == 192 && b[1] == 168)
            || (b[0] == 192 && b[1] == 0 && b[2] == 0)
            || (b[0] == 198 && b[1] is 18 or 19));
    }
}
