using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace QueueMaaS.Contracts;

/// <summary>Signatures of webhooks after Standard Webhooks 1.0.0: HMAC-SHA256 over <c>id.timestamp.body</c>.</summary>
public static class WebhookSignature
{
    /// <summary>Header with the delivery's id, the same for every attempt.</summary>
    public const string IdHeader = "webhook-id";
    /// <summary>Header with the time of sending, in Unix seconds.</summary>
    public const string TimestampHeader = "webhook-timestamp";
    /// <summary>Header with one or more signatures, space-separated.</summary>
    public const string SignatureHeader = "webhook-signature";

    private const string Prefix = "whsec_";

    /// <summary>A new random secret of 32 bytes.</summary>
    public static string NewSecret() => Prefix + Convert.ToBase64String(RandomNumberGenerator.GetBytes(32));

    /// <summary>Whether a secret is <c>whsec_</c> + base64 of 24 to 64 bytes.</summary>
    public static bool IsSecret(string? secret) => TryKey(secret, out _);

    /// <summary>The value of the signature header.</summary>
    /// <exception cref="ArgumentException">The secret is not of the documented form.</exception>
    public static string Sign(string secret, string id, DateTimeOffset timestamp, string body)
    {
        if (!TryKey(secret, out var key))
            throw new ArgumentException("A webhook secret is `whsec_` and base64 of 24 to 64 bytes.", nameof(secret));
        var content = Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{id}.{timestamp.ToUnixTimeSeconds()}.{body}"));
        return "v1," + Convert.ToBase64String(HMACSHA256.HashData(key, content));
    }

    /// <summary>Whether a request that came in is from the service and fresh.</summary>
    /// <param name="secret">The secret shared with the service.</param>
    /// <param name="id">The request's <c>webhook-id</c>.</param>
    /// <param name="timestamp">The request's <c>webhook-timestamp</c>.</param>
    /// <param name="signatures">The request's <c>webhook-signature</c>.</param>
    /// <param name="body">The request's body, exactly as received.</param>
    /// <param name="now">The current time.</param>
    /// <param name="tolerance">How old or early it may be. Default 5 minutes.</param>
    public static bool Verify(string secret, string? id, string? timestamp, string? signatures, string body, DateTimeOffset now, TimeSpan? tolerance = null)
    {
        if (id is null || signatures is null || !TryKey(secret, out _) || !long.TryParse(timestamp, NumberStyles.None, CultureInfo.InvariantCulture, out var seconds))
            return false;
        if (seconds > 253_402_300_799 || (now - DateTimeOffset.FromUnixTimeSeconds(seconds)).Duration() > (tolerance ?? TimeSpan.FromMinutes(5)))
            return false;
        var expected = Encoding.ASCII.GetBytes(Sign(secret, id, DateTimeOffset.FromUnixTimeSeconds(seconds), body));
        return signatures.Split(' ').Any(signature => CryptographicOperations.FixedTimeEquals(Encoding.ASCII.GetBytes(signature), expected));
    }

    private static bool TryKey(string? secret, out byte[] key)
    {
        key = [];
        if (secret?.StartsWith(Prefix, StringComparison.Ordinal) != true)
            return false;
        var buffer = new byte[secret.Length];
        if (!Convert.TryFromBase64String(secret[Prefix.Length..], buffer, out var written) || written is < 24 or > 64)
            return false;
        key = buffer[..written];
        return true;
    }
}
