using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Org.BouncyCastle.Crypto.Parameters;
using Org.BouncyCastle.Crypto.Signers;
using QueueMaaS.Contracts;

namespace QueueMaaS.Jobs.Notification;

/// <summary>
/// Asymmetric signatures of webhooks after Standard Webhooks 1.0.0: ed25519 (RFC 8032) over <c>id.timestamp.body</c>, <c>v1a,</c> + base64. Who verifies needs the public key only, and cannot sign.
/// .NET has no ed25519 of its own; Bouncy Castle's is managed code, so it runs wherever .NET does.
/// </summary>
public static class WebhookSigningKey
{
    private const string Prefix = "whsk_";
    private const string PublicPrefix = "whpk_";
    private const int SeedBytes = 32;
    private const int PublicBytes = 32;

    /// <summary>A new random key: <c>whsk_</c> + base64 of the seed and the public key, as libsodium and Svix write it.</summary>
    public static string New()
    {
        var seed = RandomNumberGenerator.GetBytes(SeedBytes);
        return Prefix + Convert.ToBase64String([.. seed, .. new Ed25519PrivateKeyParameters(seed, 0).GeneratePublicKey().GetEncoded()]);
    }

    /// <summary>Whether a text is <c>whsk_</c> + base64 of a seed of 32 bytes, alone or with its public key after it.</summary>
    public static bool IsKey(string? key) => TryKey(key, out _);

    /// <summary>Whether a secret claims to be one of these keys, rightly or not.</summary>
    public static bool IsMeantAsKey(string? secret) => secret?.StartsWith(Prefix, StringComparison.Ordinal) == true;

    /// <summary>The public key: <c>whpk_</c> + base64 of 32 bytes.</summary>
    /// <exception cref="ArgumentException">The key is not of the documented form.</exception>
    public static string PublicKeyOf(string key) => PublicPrefix + Convert.ToBase64String(Require(key).GeneratePublicKey().GetEncoded());

    /// <summary>A signature by a secret of either kind: <c>v1a,…</c> by a <c>whsk_</c> key, <c>v1,…</c> by a <c>whsec_</c> secret.</summary>
    /// <exception cref="ArgumentException">The secret is not of a documented form.</exception>
    public static string Sign(string secret, string id, DateTimeOffset timestamp, string body)
    {
        if (!IsMeantAsKey(secret))
            return WebhookSignature.Sign(secret, id, timestamp, body);
        var content = Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{id}.{timestamp.ToUnixTimeSeconds()}.{body}"));
        var signer = new Ed25519Signer();
        signer.Init(forSigning: true, Require(secret));
        signer.BlockUpdate(content);
        return "v1a," + Convert.ToBase64String(signer.GenerateSignature());
    }

    private static Ed25519PrivateKeyParameters Require(string key) =>
        TryKey(key, out var parsed) ? parsed : throw new ArgumentException("A webhook signing key is `whsk_` and base64 of 32 bytes, or of 64 with the public key after them.", nameof(key));

    private static bool TryKey(string? key, out Ed25519PrivateKeyParameters parsed)
    {
        parsed = null!;
        if (key is null || !IsMeantAsKey(key))
            return false;
        var buffer = new byte[key.Length];
        if (!Convert.TryFromBase64String(key[Prefix.Length..], buffer, out var written) || written is not (SeedBytes or (SeedBytes + PublicBytes)))
            return false;
        parsed = new(buffer, 0);
        // One whose halves do not belong together was put together wrongly: receivers would verify by the other half.
        return written == SeedBytes || parsed.GeneratePublicKey().GetEncoded().AsSpan().SequenceEqual(buffer.AsSpan(SeedBytes, PublicBytes));
    }
}
