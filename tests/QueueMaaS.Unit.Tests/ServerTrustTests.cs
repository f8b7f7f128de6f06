using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using QueueMaaS.Jobs.Settings;

namespace QueueMaaS.Unit.Tests;

/// <summary>A server whose certificate comes from an authority in between, as most companies have it.</summary>
public sealed class ServerTrustTests : IDisposable
{
    private const string Host = "broker.example.org";
    private readonly string _file = Path.GetTempFileName();
    private readonly X509Certificate2 _root = Authority("root", null);
    private readonly X509Certificate2 _between;
    private readonly X509Certificate2 _leaf;

    public ServerTrustTests()
    {
        _between = Authority("between", _root);
        _leaf = Leaf(_between);
        File.WriteAllText(_file, _root.ExportCertificatePem());
    }

    [Fact]
    public async Task An_authority_in_between_that_the_server_sends_is_followed_to_the_one_in_the_file()
    {
        var trust = Trust(_file);
        await ConnectAsync(trust, [_between]);
        trust.Refusal("RabbitMQ").ShouldBeNull();
    }

    [Fact]
    public async Task A_server_that_does_not_send_the_authority_in_between_is_refused_and_that_one_is_named()
    {
        var trust = Trust(_file);
        await Should.ThrowAsync<AuthenticationException>(() => ConnectAsync(trust, []));
        trust.Refusal("RabbitMQ").ShouldNotBeNull().ShouldContain("not trusted (CN=between)");
    }

    [Fact]
    public async Task The_authority_in_between_alone_may_be_trusted()
    {
        File.WriteAllText(_file, _root.ExportCertificatePem() + "\n" + _between.ExportCertificatePem());
        await ConnectAsync(Trust(_file), []);
    }

    public void Dispose()
    {
        _leaf.Dispose();
        _between.Dispose();
        _root.Dispose();
        File.Delete(_file);
    }

    private static ServerTrust Trust(string file) => new(Options.Create(new TlsOptions { AuthorityFile = file }), TimeProvider.System, NullLogger<ServerTrust>.Instance);

    private async Task ConnectAsync(ServerTrust trust, X509Certificate2[] sent)
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        using var client = new TcpClient();
        var connecting = client.ConnectAsync((IPEndPoint)listener.LocalEndpoint);
        using var accepted = await listener.AcceptTcpClientAsync();
        await connecting;
        await using var server = new SslStream(accepted.GetStream());
        var serving = server.AuthenticateAsServerAsync(new SslServerAuthenticationOptions
        {
            ServerCertificateContext = SslStreamCertificateContext.Create(_leaf, [.. sent], offline: true),
        });
        await using var stream = new SslStream(client.GetStream(), leaveInnerStreamOpen: false, trust.CheckOf("RabbitMQ"));
        try
        {
            await stream.AuthenticateAsClientAsync(Host);
        }
        finally
        {
            await stream.DisposeAsync();
            await serving.ContinueWith(static _ => { }, TaskScheduler.Default);
        }
    }

    private static X509Certificate2 Authority(string name, X509Certificate2? issuer)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN={name}", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(certificateAuthority: true, hasPathLengthConstraint: false, pathLengthConstraint: 0, critical: true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign, critical: true));
        return Signed(request, key, issuer);
    }

    private static X509Certificate2 Leaf(X509Certificate2 issuer)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN={Host}", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName(Host);
        request.CertificateExtensions.Add(names.Build());
        using var certificate = Signed(request, key, issuer);
        // A server cannot use a key that lives in memory alone on every system.
        return X509CertificateLoader.LoadPkcs12(certificate.Export(X509ContentType.Pkcs12), null);
    }

    private static X509Certificate2 Signed(CertificateRequest request, ECDsa key, X509Certificate2? issuer)
    {
        var (begin, end) = (DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(10));
        if (issuer is null)
            return request.CreateSelfSigned(begin, end);
        using var signed = request.Create(issuer, begin, end, RandomNumberGenerator.GetBytes(8));
        return signed.CopyWithPrivateKey(key);
    }
}
