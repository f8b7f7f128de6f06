using System.Collections.Concurrent;
using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace QueueMaaS.Jobs.Settings;

/// <summary>
/// Decides whether a server's certificate is to be trusted: by the system's authorities or those of <see cref="TlsOptions.AuthorityFile"/>, its name and its time. What the clients of the servers
/// throw says little more than "rejected"; so the reason is kept here, in a sentence for the log, for health and for the error at start.
/// </summary>
public sealed partial class ServerTrust(IOptions<TlsOptions> options, TimeProvider time, ILogger<ServerTrust> logger)
{
    private readonly ConcurrentDictionary<string, string> _refusals = new(StringComparer.Ordinal);
    private readonly X509Certificate2Collection _authorities = options.Value.ReadAuthorities();

    /// <summary>Whether there are authorities beside the system's.</summary>
    public bool HasAuthorities => _authorities.Count > 0;

    /// <summary><see cref="TlsOptions.AuthorityFile"/>.</summary>
    public string? AuthorityFile => options.Value.AuthorityFile;

    /// <summary>The check of a server, for its client.</summary>
    /// <param name="server">What it is called in sentences.</param>
    public RemoteCertificateValidationCallback CheckOf(string server) => (_, certificate, chain, errors) => Accepts(server, certificate, chain, errors);

    /// <summary>Why the server's certificate was refused at the last try; null where it was not.</summary>
    public string? Refusal(string server) => _refusals.GetValueOrDefault(server);

    private bool Accepts(string server, X509Certificate? certificate, X509Chain? chain, SslPolicyErrors errors)
    {
        if (Problem(server, certificate, chain, errors) is not { } problem)
        {
            _refusals.TryRemove(server, out _);
            return true;
        }

        // Clients try again all the time; it is said once.
        if (!_refusals.TryGetValue(server, out var before) || before != problem)
        {
            _refusals[server] = problem;
            LogRefused(logger, problem);
        }

        return false;
    }

    private string? Problem(string server, X509Certificate? certificate, X509Chain? chain, SslPolicyErrors errors)
    {
        if (errors == SslPolicyErrors.None)
            return null;
        if (certificate is null)
            return $"{server} shows no certificate. Set one up there, or use an address without TLS.";
        using var shown = X509CertificateLoader.LoadCertificate(certificate.GetRawCertData());
        var now = time.GetUtcNow().UtcDateTime;
        if (shown.NotAfter.ToUniversalTime() is var end && end <= now)
            return $"{server}'s certificate ({shown.Subject}) expired on {end:yyyy-MM-dd HH:mm} UTC. Renew it there.";
        if (shown.NotBefore.ToUniversalTime() is var begin && begin > now)
            return $"{server}'s certificate ({shown.Subject}) is valid only from {begin:yyyy-MM-dd HH:mm} UTC on. Look at this machine's clock.";
        if (errors.HasFlag(SslPolicyErrors.RemoteCertificateNameMismatch))
            return $"{server}'s certificate ({shown.Subject}) is for another name than the settings call it by. Use a name that is in the certificate.";
        return IsOfAuthority(shown, chain) ? null : $"{server}'s certificate ({shown.Subject}) comes from an authority that is not trusted ({shown.Issuer}). Give that authority's certificate in Tls:AuthorityFile.";
    }

    private bool IsOfAuthority(X509Certificate2 shown, X509Chain? sent)
    {
        if (!HasAuthorities)
            return false;
        using var chain = new X509Chain();
        chain.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        chain.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
        chain.ChainPolicy.CustomTrustStore.AddRange(_authorities);
        // Authorities in between come with the server's own.
        foreach (var element in sent?.ChainElements ?? Enumerable.Empty<X509ChainElement>())
            chain.ChainPolicy.ExtraStore.Add(element.Certificate);
        return chain.Build(shown);
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "{Problem}")]
    private static partial void LogRefused(ILogger logger, string problem);
}
