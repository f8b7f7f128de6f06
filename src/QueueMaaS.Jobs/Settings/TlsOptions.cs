using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace QueueMaaS.Jobs.Settings;

/// <summary>Whom this program trusts as RabbitMQ, PostgreSQL, Redis and S3 (configuration section <c>Tls</c>).</summary>
public sealed class TlsOptions
{
    public const string Section = "Tls";

    /// <summary>File (PEM) with certificates of authorities of your own, which the servers' certificates may come from, beside those that the system trusts. Default: none.</summary>
    public string? AuthorityFile { get; set => field = string.IsNullOrWhiteSpace(value) ? null : value; }

    /// <summary>What is wrong with the file; null where nothing is.</summary>
    public string? Contradiction()
    {
        try
        {
            return AuthorityFile is not null && ReadAuthorities().Count == 0 ? $"Tls:AuthorityFile: `{AuthorityFile}` holds no certificate. It must be a PEM file." : null;
        }
        catch (Exception exception) when (exception is CryptographicException or IOException or UnauthorizedAccessException)
        {
            return $"Tls:AuthorityFile: `{AuthorityFile}` cannot be read ({exception.Message.TrimEnd('.')}). It must be a PEM file with certificates.";
        }
    }

    /// <summary>The authorities of the file; none where there is none.</summary>
    internal X509Certificate2Collection ReadAuthorities()
    {
        var authorities = new X509Certificate2Collection();
        if (AuthorityFile is { } file)
            authorities.ImportFromPemFile(file);
        return authorities;
    }
}
