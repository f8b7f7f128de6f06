using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using QueueMaaS.Api.Health;
using QueueMaaS.Serving;

namespace QueueMaaS.Health;

/// <summary>A certificate file that Kestrel is told to use.</summary>
/// <param name="Setting">The setting that names it.</param>
/// <param name="File">Where it is.</param>
/// <param name="Password">Of a PFX file.</param>
internal sealed record ServerCertificate(string Setting, string File, string? Password)
{
    /// <summary>Until when it holds, as the file is now: it may have been renewed.</summary>
    public DateTimeOffset ReadEnd()
    {
        using var certificate = System.IO.File.ReadAllText(File).Contains("-----BEGIN", StringComparison.Ordinal)
            ? X509CertificateLoader.LoadCertificateFromFile(File)
            : X509CertificateLoader.LoadPkcs12FromFile(File, Password);
        return new DateTimeOffset(certificate.NotAfter.ToUniversalTime());
    }
}

/// <summary>The certificates of Kestrel's settings: found, and refused at start where they cannot serve.</summary>
internal static class ServerCertificates
{
    public static IReadOnlyList<ServerCertificate> Find(IConfiguration configuration)
    {
        var kestrel = configuration.GetSection("Kestrel");
        return
        [
            .. kestrel.GetSection("Certificates").GetChildren()
                .Concat(kestrel.GetSection("Endpoints").GetChildren().Select(static endpoint => endpoint.GetSection("Certificate")))
                .Where(static section => section["Path"] is { Length: > 0 })
                .Select(static section => new ServerCertificate($"{section.Path}:Path", section["Path"]!, section["Password"])),
        ];
    }

    /// <exception cref="SettingsException">One cannot be read or has expired.</exception>
    public static void Refuse(IEnumerable<ServerCertificate> certificates, DateTimeOffset now)
    {
        foreach (var certificate in certificates)
        {
            try
            {
                if (certificate.ReadEnd() is var end && end <= now)
                    throw new SettingsException($"{certificate.Setting}: the certificate in `{certificate.File}` expired on {end:yyyy-MM-dd HH:mm} UTC. Renew it and start again.");
            }
            catch (Exception exception) when (exception is CryptographicException or IOException or UnauthorizedAccessException)
            {
                throw new SettingsException($"{certificate.Setting}: the certificate in `{certificate.File}` cannot be read ({exception.Message.TrimEnd('.')}). It must be a PEM file, with Kestrel's KeyPath for its key, or a PFX file with its Password.");
            }
        }
    }
}

/// <summary>How long the server's certificates hold.</summary>
internal sealed class CertificateHealth(IReadOnlyList<ServerCertificate> certificates, TimeProvider time) : IHealthCheck
{
    private static readonly TimeSpan Soon = TimeSpan.FromDays(14);

    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        try
        {
            var (first, end) = certificates.Select(certificate => (Certificate: certificate, End: certificate.ReadEnd())).MinBy(static entry => entry.End);
            var left = end - time.GetUtcNow();
            var data = new Dictionary<string, object> { [HealthJournal.CertificateLeft] = Math.Round(left.TotalSeconds), ["expires"] = end.ToString("u") };
            return Task.FromResult(left > Soon ? HealthCheckResult.Healthy(data: data)
                : left > TimeSpan.Zero ? HealthCheckResult.Degraded($"The certificate of {first.Setting} expires on {end:yyyy-MM-dd HH:mm} UTC, in {left.TotalDays:0.#} days: renew it and restart the process.", data: data)
                : HealthCheckResult.Degraded($"The certificate of {first.Setting} expired on {end:yyyy-MM-dd HH:mm} UTC: clients refuse this server. Renew it and restart the process.", data: data));
        }
        catch (Exception exception) when (exception is CryptographicException or IOException or UnauthorizedAccessException)
        {
            return Task.FromResult(HealthCheckResult.Degraded("A certificate file cannot be read any more: the next start will fail. See Kestrel's settings.", exception));
        }
    }
}
