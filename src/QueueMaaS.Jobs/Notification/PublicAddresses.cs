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

    /// <summary>Whether an address is one of the public internet: not private, loopback, link-local or reserved, nor an IPv6 form that leads to such an IPv4 address.</summary>
    public static bool IsPublic(IPAddress address)
    {
        ArgumentNullException.ThrowIfNull(address);
        if (address.IsIPv4MappedToIPv6)
            address = address.MapToIPv4();
        return address.AddressFamily == AddressFamily.InterNetwork ? IsPublic(address.GetAddressBytes()) : IsPublicV6(address);
    }

    // RFC 6890: this network, private, shared (CGN), link-local, IETF, documentation, benchmarking, multicast and reserved.
    private static bool IsPublic(ReadOnlySpan<byte> b) => !(b[0] is 0 or 10 or 127 or >= 224
        || (b[0] == 100 && b[1] is >= 64 and <= 127)
        || (b[0] == 169 && b[1] == 254)
        || (b[0] == 172 && b[1] is >= 16 and <= 31)
        || (b[0] == 192 && b[1] == 168)
        || (b[0] == 192 && b[1] == 0 && b[2] is 0 or 2)
        || (b[0] == 192 && b[1] == 88 && b[2] == 99)
        || (b[0] == 198 && b[1] is 18 or 19)
        || (b[0] == 198 && b[1] == 51 && b[2] == 100)
        || (b[0] == 203 && b[1] == 0 && b[2] == 113));

    private static bool IsPublicV6(IPAddress address)
    {
        if (IPAddress.IsLoopback(address) || address.IsIPv6LinkLocal || address.IsIPv6SiteLocal || address.IsIPv6UniqueLocal || address.IsIPv6Multicast || address.Equals(IPAddress.IPv6Any))
            return false;
        ReadOnlySpan<byte> b = address.GetAddressBytes();
        // ::a.b.c.d, the old form of an IPv4 address.
        if (b[..12].IndexOfAnyExcept((byte)0) < 0)
            return IsPublic(b[12..]);
        // 64:ff9b::/96, NAT64: a gateway makes the IPv4 address of the last four bytes of it. 64:ff9b:1::/48 is for local gateways.
        if (b is [0x00, 0x64, 0xff, 0x9b, ..])
            return b[4..12].IndexOfAnyExcept((byte)0) < 0 && IsPublic(b[12..]);
        // 2002::/16, 6to4: the IPv4 address follows.
        if (b is [0x20, 0x02, ..])
            return IsPublic(b[2..6]);
        // 2001::/32, Teredo: the last four bytes are the client's IPv4 address, inverted, bytes 4 to 8 its server's.
        if (b is [0x20, 0x01, 0x00, 0x00, ..])
            return IsPublic([(byte)~b[12], (byte)~b[13], (byte)~b[14], (byte)~b[15]]) && IsPublic(b[4..8]);
        // ISATAP: ::0:5efe:a.b.c.d or ::200:5efe:a.b.c.d under any prefix.
        if (b[8] is 0x00 or 0x02 && b[9] == 0 && b[10] == 0x5e && b[11] == 0xfe)
            return IsPublic(b[12..]);
        // 2001:db8::/32 and 3fff::/20, documentation; 100::/64, discarded; 5f00::/16, segment routing.
        return b is not ([0x20, 0x01, 0x0d, 0xb8, ..] or [0x3f, 0xff, < 0x10, ..] or [0x01, 0x00, 0, 0, 0, 0, 0, 0, ..] or [0x5f, 0x00, ..]);
    }
}
