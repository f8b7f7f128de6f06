using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace QueueMaaS.Behaviour.Tests.Setup;

/// <summary>Authorities and certificates made on the spot, as PEM files in a folder.</summary>
internal sealed class CertificateFolder : IDisposable
{
    private readonly Dictionary<string, X509Certificate2> _authorities = new(StringComparer.Ordinal);

    public string Path { get; } = Directory.CreateTempSubdirectory("queuemaas-certificates-").FullName;

    public string File(string name) => System.IO.Path.Combine(Path, name);

    /// <summary>Makes an authority and writes its certificate to <c>{name}.pem</c>.</summary>
    public string AddAuthority(string name)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN={name}", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(certificateAuthority: true, hasPathLengthConstraint: false, pathLengthConstraint: 0, critical: true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign, critical: true));
        _authorities[name] = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-100), DateTimeOffset.UtcNow.AddDays(100));
        System.IO.File.WriteAllText(File($"{name}.pem"), _authorities[name].ExportCertificatePem());
        return File($"{name}.pem");
    }

    /// <summary>Writes <c>server.pem</c> and <c>server.key</c>.</summary>
    public void WriteServer(string authority, string host, DateTimeOffset begin, DateTimeOffset end)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN={host}", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName(host);
        if (host == "localhost")
            names.AddIpAddress(IPAddress.Loopback);
        request.CertificateExtensions.Add(names.Build());
        using var certificate = request.Create(_authorities[authority], begin, end, RandomNumberGenerator.GetBytes(8));
        System.IO.File.WriteAllText(File("server.pem"), certificate.ExportCertificatePem());
        System.IO.File.WriteAllText(File("server.key"), key.ExportPkcs8PrivateKeyPem());
    }

    public void Dispose()
    {
        foreach (var authority in _authorities.Values)
            authority.Dispose();
        Directory.Delete(Path, recursive: true);
    }
}
